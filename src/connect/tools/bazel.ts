import { createHash } from 'node:crypto'
import { type Remote, secret, TOKEN, type Tool, type Trial, type Variable } from '../tool.ts'

const RIVALS = /^\s*(build|common|test)(:\S+)?\s+.*--remote_cache\b/m

/** Over gRPC (the Remote Execution API): only what the server lacks is sent, and results are checked for their blobs. */
export const bazel: Tool = {
  name: 'bazel',
  title: 'Bazel',
  speaks: 'REAPI, gRPC',
  setup: (remote) =>
    setup(remote, [
      `--remote_cache=${remote.grpc}`,
      ...(remote.instance === '' ? [] : [`--remote_instance_name=${remote.instance}`]),
      '--remote_local_fallback',
    ]),
  exchange: { kind: 'reapi' },
  trial: trial((remote, token) => [
    `--remote_cache=${remote.grpc}`,
    ...(remote.instance === '' ? [] : [`--remote_instance_name=${remote.instance}`]),
    ...header(token),
  ]),
}

export const bazelHttp: Tool = {
  name: 'bazel-http',
  title: 'Bazel over HTTP',
  speaks: "Bazel's HTTP cache",
  setup: (remote) => setup(remote, [`--remote_cache=${remote.http}`]),
  exchange: {
    kind: 'http',
    entry: (nonce) => ({ path: `/cas/${createHash('sha256').update(nonce).digest('hex')}`, body: nonce }),
  },
  trial: trial((remote, token) => [`--remote_cache=${remote.http}`, ...header(token)]),
}

function setup(remote: Remote, flags: readonly string[]) {
  const lines = flags.map((flag) => `build ${flag}\n`).join('')
  const variables: readonly Variable[] = secret(remote, 'RECUE_TOKEN')
  return {
    environment: [],
    files: [
      {
        path: '.bazelrc',
        text: `${lines}${remote.hasToken ? 'try-import %workspace%/user.bazelrc\n' : ''}`,
        edit: { kind: 'block', owner: 'bazel', comment: '#', rivals: RIVALS },
      } as const,
      ...variables.map(
        () =>
          ({
            path: 'user.bazelrc',
            text: `build --remote_header=authorization=Bearer ${TOKEN}\n`.replace(/=(authorization.*)\n/, '="$1"\n'),
            edit: { kind: 'block', owner: 'bazel', comment: '#', rivals: /--remote_header=\W*authorization/im },
          }) as const,
      ),
    ],
    notes: remote.hasToken ? ['user.bazelrc holds the token: git has to ignore it.'] : [],
  }
}

function header(token: string | undefined): readonly string[] {
  return token === undefined ? [] : [`--remote_header=authorization=Bearer ${token}`]
}

function trial(flags: NonNullable<Trial['flags']>): Trial {
  return {
    programs: ['bazel'],
    files: (nonce) => ({
      WORKSPACE: '',
      BUILD: `genrule(name="g", outs=["o.txt"], cmd="echo ${nonce} > $@")\n`,
    }),
    environment: () => ({}),
    // `--flags--` is where those of the server go. What Bazel has unpacked of itself is the user's, and stays.
    build: [
      ['bazel', '--nohome_rc', 'clean'],
      ['bazel', '--nohome_rc', 'build', '--noshow_progress', '--flags--', '//:g'],
    ],
    flags,
    hit: /1 remote cache hit/,
    end: ['bazel', '--nohome_rc', 'clean', '--expunge'],
  }
}
