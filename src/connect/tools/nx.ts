import { secret, type Tool } from '../tool.ts'

const SERVER = 'NX_SELF_HOSTED_REMOTE_CACHE_SERVER'

export const nx: Tool = {
  name: 'nx',
  title: 'Nx',
  speaks: 'its self-hosted cache API, HTTP',
  failsAlone: 'Nx ends a build where its cache does not answer',
  setup: (remote) => ({
    environment: [
      { name: SERVER, value: remote.http, isInFile: true },
      ...secret(remote, 'NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN'),
    ],
    files: [
      {
        path: '.env.local',
        text: `${SERVER}=${remote.http}\n`,
        edit: { kind: 'block', owner: 'nx', comment: '#', rivals: new RegExp(`^\\s*(export\\s+)?${SERVER}=`, 'm') },
      },
    ],
    notes: ['Nx reads .env.local by itself; git mostly ignores it.'],
  }),
  exchange: {
    kind: 'http',
    entry: (nonce) => ({
      path: `/v1/cache/${BigInt(`0x${nonce.slice(0, 16)}`)}`,
      headers: { 'content-type': 'application/octet-stream' },
      body: nonce,
    }),
  },
  trial: {
    programs: ['nx'],
    isRepository: true,
    needsModules: true,
    files: (nonce) => ({
      '.gitignore': 'dist\n.nx\nnode_modules\n',
      'package.json': '{ "name": "root", "private": true }\n',
      'nx.json': `${JSON.stringify({
        targetDefaults: { build: { cache: true, outputs: ['{projectRoot}/dist'] } },
        ...{ neverConnectToCloud: true, analytics: false },
      })}\n`,
      'a/project.json': `${JSON.stringify({
        name: 'a',
        targets: { build: { command: `mkdir -p a/dist && echo ${nonce} > a/dist/o.txt` } },
      })}\n`,
    }),
    // Nx keeps its own cache in the user's home, by the path of the project.
    environment: (folder) => ({ HOME: `${folder}-home`, NX_DAEMON: 'false', NX_TUI: 'false', CI: '1' }),
    build: [['nx', 'run', 'a:build']],
    hit: /read the output from the cache instead of running the command for 1 out of|Cache: 1\/1 hit/,
  },
}
