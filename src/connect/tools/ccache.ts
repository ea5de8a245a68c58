import { TOKEN, type Tool } from '../tool.ts'

export const ccache: Tool = {
  name: 'ccache',
  title: 'ccache',
  speaks: 'its HTTP storage',
  setup(remote, project) {
    const plain = `${remote.http}/ccache`
    const bearer = remote.hasToken ? ` @bearer-token=${TOKEN}` : ''
    const byHelper = `recue://${remote.http.replace(/^https?:\/\//, '')} helper=recue${remote.isTls ? ' @tls=true' : ''}${bearer}`
    const alone = `${remote.httpWithToken}/ccache`
    const hasHelpers = isAtLeast(project.versionOf('ccache'), HELPERS_SINCE)
    const storage = hasHelpers ? byHelper : alone
    return {
      environment: [{ name: 'CCACHE_REMOTE_STORAGE', value: storage }],
      files: [
        {
          path: '~/.config/ccache/ccache.conf',
          text: `remote_storage = ${storage}\n`,
          edit: { kind: 'block', owner: 'ccache', comment: '#', rivals: /^\s*remote_storage\s*=/m },
        },
      ],
      notes: hasHelpers
        ? [
            'The value above is for the ccache that is here, 4.13 or later: it starts recue as its storage helper, which keeps connections open (docs/protocols.md).',
            `A ccache from 4.4 on takes ${alone} (attributes follow a bar: |layout=flat|read-only).`,
          ]
        : [
            'The value above is for ccache 4.4 and later (attributes follow a bar: |layout=flat|read-only).',
            `Since 4.13 also: CCACHE_REMOTE_STORAGE="${plain}${bearer}" (attributes follow a space: @layout=flat @read-only).`,
            `By its storage helper, which keeps connections open: CCACHE_REMOTE_STORAGE="${byHelper}" (docs/protocols.md).`,
            ...(remote.isTls ? ['ccache itself speaks no TLS: let it go through recue front.'] : []),
          ],
    }
  },
  exchange: {
    kind: 'http',
    entry: (nonce) => ({ path: `/ccache/${nonce.slice(0, 2)}/${nonce.slice(2, 40)}`, body: nonce }),
  },
  trial: {
    programs: ['ccache', 'gcc'],
    files: (nonce) => ({ 't.c': `const char *nonce = "${nonce}";\nint main(void) { return 0; }\n` }),
    environment: (folder) => ({ CCACHE_DIR: `${folder}/.ccache` }),
    build: [
      ['ccache', 'gcc', '-c', 't.c', '-o', 't.o'],
      ['ccache', '-s', '-v'],
    ],
    hit: /Remote storage:[\s\S]*?Hits: +[1-9]/,
  },
}

const HELPERS_SINCE = [4, 13] as const

/** Of what a program says of its version, the first number with a point in it counts. */
function isAtLeast(said: string | undefined, [major, minor]: readonly [number, number]): boolean {
  const [, first = Number.NaN, second = Number.NaN] = (/(\d+)\.(\d+)/.exec(said ?? '') ?? []).map(Number)
  return first > major || (first === major && second >= minor)
}
