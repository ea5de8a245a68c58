import { createHash } from 'node:crypto'
import { secret, type Tool } from '../tool.ts'

export const mise: Tool = {
  name: 'mise',
  title: 'mise',
  speaks: 'its task cache protocol, HTTP',
  setup(remote, project) {
    const namespace = remote.instance === '' ? 'default' : remote.instance
    const text = `[settings]
experimental = true
task.cache.remote_url = "${remote.http}"
task.cache.remote_namespace = "${namespace}"
`
    return {
      environment: [
        { name: 'MISE_EXPERIMENTAL', value: '1', isInFile: true },
        { name: 'MISE_TASK_CACHE_REMOTE_URL', value: remote.http, isInFile: true },
        { name: 'MISE_TASK_CACHE_REMOTE_NAMESPACE', value: namespace, isInFile: true },
        ...secret(remote, 'MISE_TASK_CACHE_REMOTE_TOKEN'),
      ],
      files: [
        {
          path: project.has('.mise.toml') ? '.mise.toml' : 'mise.toml',
          text,
          edit: {
            kind: 'block',
            owner: 'mise',
            comment: '#',
            below: '[settings]',
            rivals: /^\s*(experimental|task\.cache\.remote_(url|namespace))\s*=|^\s*\[settings\.task/m,
          },
        },
      ],
      notes: [
        'A task is cached with sources, outputs and cache = { enabled = true }. mise writes in CI alone, on protected branches.',
      ],
    }
  },
  exchange: {
    kind: 'http',
    entry: (nonce) => ({
      path: `/v1/blobs/sha256/${createHash('sha256').update(nonce).digest('hex')}/${nonce.length}`,
      headers: { 'mise-cache-protocol': '1', 'mise-cache-namespace': 'default', 'if-none-match': '*' },
      body: nonce,
    }),
  },
}
