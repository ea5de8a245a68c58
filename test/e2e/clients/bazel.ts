import path from 'node:path'
import { call, missingProgram, numberIn, writeFiles } from './calls.ts'
import type { Client, Remote, Scenario } from './client.ts'

/** The project is the same whichever way Bazel asks; `flags` say which. */
export function bazelBy(
  name: Pick<Client, 'name' | 'protocol' | 'only'>,
  flags: (remote: Remote) => readonly string[],
): Client {
  return {
    ...name,
    missing: () => missingProgram('bazel'),
    outputs: ['bazel-bin/a.txt', 'bazel-bin/b.txt', 'bazel-bin/c.txt'],
    write(root, during) {
      writeFiles(root, { WORKSPACE: '', BUILD: buildFile(during) })
    },
    async build(root, remote) {
      const words = ['build', '--noshow_progress', ...(remote ? flags(remote) : []), '//:c']
      const { status, stdout, stderr } = await bazel(root, words)
      const said = stdout + stderr
      const hits = numberIn(said, /(\d+) remote cache hit/)
      return { status, said, hits, misses: numberIn(said, /(\d+) (?:local|linux-sandbox|processwrapper-sandbox)\b/) }
    },
    leave: (root) => bazel(root, ['shutdown']),
  }
}

/** Each build starts a Bazel of its own, for some seconds; between the two ways, all scenarios are there. */
const BY_HTTP: readonly Scenario[] = [
  'cold build fills',
  'clean build hits',
  'on Node',
  'server killed during',
  'wrong token',
]
const BY_GRPC: readonly Scenario[] = [
  ...(['cold build fills', 'clean build hits', 'server restarted', 'server killed during', 'entries evicted'] as const),
  ...(['entries corrupted', 'wrong token', 'token that reads'] as const),
]

export const bazelHttp = bazelBy({ name: 'bazel', protocol: 'Bazel HTTP', only: BY_HTTP }, ({ http, token }) => [
  `--remote_cache=http://anybody:${token}@${new URL(http).host}`,
])

/** What it unpacks of itself is shared by all checkouts; its results are not. */
export const bazelGrpc = bazelBy({ name: 'bazel', protocol: 'REAPI', only: BY_GRPC }, ({ http, token }) => [
  `--remote_cache=grpc://${new URL(http).host}`,
  `--remote_header=authorization=Bearer ${token}`,
])

function bazel(root: string, words: readonly string[]) {
  const own = path.join(path.dirname(root), 'bazel')
  return call(root, 'bazel', [`--output_user_root=${own}`, '--host_jvm_args=-XX:TieredStopAtLevel=1', ...words])
}

/** Not in a sandbox: it may hide the server's process from what goes on during the build. */
function buildFile(during: string): string {
  const rule = (name: string, srcs: string, cmd: string) =>
    `genrule(name="${name}", srcs=[${srcs}], outs=["${name}.txt"], tags=["no-sandbox"], cmd=${JSON.stringify(cmd)})\n`
  const escaped = during.replaceAll('$', '$$$$')
  return [
    rule('a', '', 'echo made a > $@'),
    rule('b', '":a"', `${escaped}; (cat $<; echo made b) > $@`),
    rule('c', '":b"', '(cat $<; echo made c) > $@'),
  ].join('')
}
