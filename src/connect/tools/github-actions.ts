import { secret, type Tool } from '../tool.ts'

export const githubActions: Tool = {
  name: 'github-actions',
  title: 'GitHub Actions',
  speaks: 'its cache service v2, for runners of your own',
  setup: (remote) => ({
    environment: [
      { name: 'ACTIONS_CACHE_SERVICE_V2', value: 'true' },
      { name: 'ACTIONS_RESULTS_URL', value: `${remote.http}/` },
      ...secret(remote, 'ACTIONS_RUNTIME_TOKEN'),
    ],
    files: [],
    notes: [
      ...(remote.instance === ''
        ? []
        : ['@actions/cache takes no path from the address: no instance can be chosen for it.']),
      'A runner sets these variables anew for each action; docs/protocols.md says how one of your own keeps yours.',
      'Programs that are steps, such as sccache or docker buildx, take them as they are.',
    ],
  }),
  exchange: { kind: 'actions-cache' },
}
