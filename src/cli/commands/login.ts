import { CacheError } from '../../errors.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { credentialsFile, saveCredentials } from '../remote/credentials-file.ts'
import { REMOTE_OPTIONS } from '../remote-options.ts'

const { remoteHelper, remoteCa, remoteCert, remoteKey } = REMOTE_OPTIONS
const OPTIONS = {
  anonymous: { kind: 'flag', summary: 'It asks for no token: use it, and show it nothing.' },
  ...{ remoteHelper, remoteCa, remoteCert, remoteKey },
} as const
type Context = CommandContext<typeof OPTIONS>

const REFUSED_EXIT = 1

export const command = defineCommand({
  name: 'login',
  summary: 'Keep the token for a remote cache, and allow projects to name it',
  usage: ['login ADDRESS', 'login ADDRESS <FILE', 'login ADDRESS --anonymous'],
  description:
    'Reads a token from standard input, or asks for it, tries it, and keeps it for this scheme, host and port: it is shown to nobody else. ' +
    'A remote cache that the config of a checkout names is used only after this. --remote-helper, --remote-ca, --remote-cert and --remote-key are kept with it.',
  options: OPTIONS,
  arguments: { min: 1, max: 1 },
  examples: [
    { line: 'recue login grpcs://cache.example.org', does: 'Asks for the token.' },
    { line: 'recue login grpcs://cache.example.org --remote-helper my-helper', does: 'A program knows it.' },
  ],
  exits: [{ code: REFUSED_EXIT, means: 'The server does not know the token; nothing was kept.' }],
  async run(context) {
    const { originOf, hasUserInfo } = await import('../../store/remote/remote-origin.ts')
    const address = context.args[0] as string
    if (hasUserInfo(address))
      throw new CacheError('usage', 'A token in the address would stay in the history of your shell.', {
        hint: 'Leave it out, and give it when asked, or by a pipe.',
      })
    const origin = originOf(address)
    const credentials = { ...(await tokenFor(context, origin)), ...filesIn(context) }
    const verdict = await tried(address, credentials, context)
    const { stdout, stderr } = context.output
    if (verdict.isRefused) {
      stderr.line(`recue: ${verdict.what} Nothing was kept.`)
      return REFUSED_EXIT
    }
    saveCredentials(credentialsFile(context.environment), origin, credentials)
    if (context.options.json) context.output.json({ origin, reached: verdict.isReached, writes: verdict.writes })
    else stdout.line(`${origin}: ${verdict.what}`)
    return 0
  },
})

async function tokenFor({ options, signal }: Context, origin: string): Promise<{ token?: string; helper?: string }> {
  if (options.remoteHelper !== undefined) return { helper: await helperIn(options.remoteHelper) }
  if (options.anonymous) return {}
  const [{ readToken }, { wholeToken }] = await Promise.all([
    import('../remote/read-token.ts'),
    import('../remote/remote-access.ts'),
  ])
  const token = await readToken(`Token for ${origin} (not shown): `, signal)
  if (token === '')
    throw new CacheError('usage', 'No token was given.', {
      hint: 'A server that asks for none: recue login ADDRESS --anonymous',
    })
  return { token: wholeToken(token, 'Standard input') }
}

async function helperIn(program: string): Promise<string> {
  const { resolve } = await import('node:path')
  return /[/\\]/.test(program) ? resolve(program) : program
}

function filesIn({ options, cwd }: Context): { ca?: string; cert?: string; key?: string } {
  const { resolve } = process.getBuiltinModule('node:path')
  const { remoteCa: ca, remoteCert: cert, remoteKey: key } = options
  return {
    ...(ca !== undefined && { ca: resolve(cwd, ca) }),
    ...(cert !== undefined && { cert: resolve(cwd, cert) }),
    ...(key !== undefined && { key: resolve(cwd, key) }),
  }
}

interface Verdict {
  readonly isRefused: boolean
  readonly isReached: boolean
  readonly writes: boolean
  readonly what: string
}

async function tried(
  address: string,
  credentials: Parameters<typeof saveCredentials>[2] & object,
  context: Context,
): Promise<Verdict> {
  const [{ accessWith }, { tryRemote }] = await Promise.all([
    import('../remote/remote-access.ts'),
    import('../remote/try-remote.ts'),
  ])
  const found = await tryRemote(address, accessWith(credentials, address), context.signal)
  if (found.kind === 'writes')
    return { isRefused: false, isReached: true, writes: true, what: 'kept; it may read and write.' }
  if (found.kind === 'reads' && found.why.code === 'remote.denied')
    return { isRefused: false, isReached: true, writes: false, what: 'kept; it may read, and not write.' }
  const { why } = found
  const isRefused = why.code === 'remote.denied' || why.code === 'remote.incompatible' || why.code === 'remote.tls'
  const said = why.hint === undefined ? why.message : `${why.message} ${why.hint}`
  return { isRefused, isReached: false, writes: false, what: isRefused ? said : `kept, but not tried. ${said}` }
}
