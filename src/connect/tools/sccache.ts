import { secret, type Tool } from '../tool.ts'

export const sccache: Tool = {
  name: 'sccache',
  title: 'sccache',
  speaks: 'WebDAV, HTTP',
  failsAlone: 'sccache does not start where its cache does not answer',
  setup(remote) {
    const endpoint = `${remote.http}/sccache`
    return {
      environment: [
        { name: 'SCCACHE_WEBDAV_ENDPOINT', value: endpoint, isInFile: true },
        ...secret(remote, 'SCCACHE_WEBDAV_TOKEN'),
        { name: 'RUSTC_WRAPPER', value: 'sccache', isInFile: true },
        { name: 'CARGO_INCREMENTAL', value: '0', isInFile: true },
      ],
      files: [
        {
          path: '.cargo/config.toml',
          text: `[build]\nrustc-wrapper = "sccache"\nincremental = false\n\n[env]\nSCCACHE_WEBDAV_ENDPOINT = "${endpoint}"\n`,
          edit: {
            kind: 'block',
            owner: 'sccache',
            comment: '#',
            rivals: /^\s*(rustc-wrapper|incremental|SCCACHE_WEBDAV_ENDPOINT)\s*=|^\s*\[(build|env)\]/m,
          },
        },
      ],
      notes: [
        'sccache 0.4 or later, built with WebDAV. A server of its that runs already keeps its settings: sccache --stop-server',
        'For C and C++ put sccache before the compiler; RUSTC_WRAPPER is for cargo.',
      ],
    }
  },
  exchange: {
    kind: 'http',
    entry: (nonce) => ({ path: `/sccache/${nonce[0]}/${nonce[1]}/${nonce[2]}/${nonce}`, body: nonce }),
  },
  trial: {
    programs: ['sccache', 'gcc'],
    files: (nonce) => ({ 't.c': `const char *nonce = "${nonce}";\nint main(void) { return 0; }\n` }),
    environment: (folder) => ({
      SCCACHE_SERVER_UDS: `${folder}-sccache.sock`,
      SCCACHE_DIR: `${folder}/.sccache`,
      SCCACHE_IDLE_TIMEOUT: '60',
    }),
    build: [
      ['sccache', '--start-server'],
      ['sccache', 'gcc', '-c', 't.c', '-o', 't.o'],
      ['sccache', '--show-stats'],
      ['sccache', '--stop-server'],
    ],
    hit: /Cache hits +[1-9]/,
  },
}
