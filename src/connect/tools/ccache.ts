import { TOKEN, type Tool } from '../tool.ts'

export const ccache: Tool = {
  name: 'ccache',
  title: 'ccache',
  speaks: 'its HTTP storage',
  setup(remote) {
    const plain = `${remote.http}/ccache`
    const helper = `recue://${remote.http.replace(/^https?:\/\//, '')} helper=recue${remote.isTls ? ' @tls=true' : ''}`
    const bearer = remote.hasToken ? `${plain} @bearer-token=${TOKEN}` : plain
    return {
      environment: [{ name: 'CCACHE_REMOTE_STORAGE', value: `${remote.httpWithToken}/ccache` }],
      files: [
        {
          path: '~/.config/ccache/ccache.conf',
          text: `remote_storage = ${remote.httpWithToken}/ccache\n`,
          edit: { kind: 'block', owner: 'ccache', comment: '#', rivals: /^\s*remote_storage\s*=/m },
        },
      ],
      notes: [
        'The value above is for ccache 4.4 and later (attributes follow a bar: |layout=flat|read-only).',
        `Since 4.13 also: CCACHE_REMOTE_STORAGE="${bearer}" (attributes follow a space: @layout=flat @read-only).`,
        `By its storage helper, which keeps connections open: CCACHE_REMOTE_STORAGE="${helper}${remote.hasToken ? ` @bearer-token=${TOKEN}` : ''}" (docs/protocols.md).`,
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
