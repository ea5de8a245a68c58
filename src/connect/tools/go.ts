import { createHash } from 'node:crypto'
import { type Remote, TOKEN, type Tool } from '../tool.ts'

export const go: Tool = {
  name: 'go',
  title: 'Go',
  speaks: 'GOCACHEPROG, by recue gocacheprog',
  takesSocket: true,
  setup: (remote) => ({
    environment: [
      { name: 'GOCACHEPROG', value: 'recue gocacheprog' },
      { name: 'RECUE_SERVER', value: serverOf(remote) },
      ...(remote.instance === '' ? [] : [{ name: 'RECUE_INSTANCE', value: remote.instance }]),
      ...(remote.hasToken ? [{ name: 'RECUE_TOKEN', value: TOKEN }] : []),
    ],
    files: [],
    notes: ['Go 1.24 or later. For all that Go builds from now on: go env -w GOCACHEPROG="recue gocacheprog"'],
  }),
  exchange: {
    kind: 'http',
    entry: (nonce) => ({
      path: `/go/${createHash('sha256').update(nonce).digest('hex')}`,
      headers: { 'recue-time': new Date().toISOString() },
      body: nonce,
    }),
  },
  trial: {
    programs: ['go'],
    files: (nonce) => ({
      'go.mod': 'module check\n\ngo 1.24\n',
      'main.go': `package main\n\nconst nonce = "${nonce}"\n\nfunc main() { println(nonce) }\n`,
    }),
    environment: (folder, self) => ({
      GOCACHEPROG: [...self, 'gocacheprog'].map((word) => `"${word}"`).join(' '),
      ...{ GOCACHE: `${folder}/.gocache`, GOPATH: `${folder}/.gopath`, RECUE_CACHE_DIR: `${folder}/.recue` },
      ...{ GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '-mod=mod', CGO_ENABLED: '0' },
    }),
    build: [['go', 'build', '-x', '-o', 'out', '.']],
    // A compile that is not a hit shows the compiler's command line.
    hit: /^(?![\s\S]*\/compile -o)/,
  },
}

/** The instance is said apart. */
function serverOf({ http, socketPath, instance }: Remote): string {
  if (socketPath !== undefined) return `unix:${socketPath}`
  return instance === '' ? http : http.slice(0, -`/${instance}`.length)
}
