import { CacheError } from '../../errors.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { isLocal, parseListenAddress } from '../listen-address.ts'
import { SERVER_OPTIONS, serverAddressOf } from '../server-options.ts'
import { oneLine } from '../table.ts'

const OPTIONS = {
  ...SERVER_OPTIONS,
  listen: {
    kind: 'text',
    value: 'ADDR',
    summary: 'Where to listen: 127.0.0.1:PORT or unix:PATH. Default: 127.0.0.1:8378, and any free port for a command.',
    variable: true,
  },
  tool: {
    kind: 'list',
    value: 'TOOL',
    summary: 'Give the command the variables that lead this tool to the front; recue connect lists the tools.',
  },
  connectTimeout: {
    kind: 'duration',
    value: 'TIME',
    default: '2s',
    least: 1,
    summary: 'How long a connection may take.',
    variable: true,
  },
  answerTimeout: {
    kind: 'duration',
    value: 'TIME',
    default: '10s',
    least: 1,
    summary: 'How long nothing may come of what was asked.',
    variable: true,
  },
} as const

type Context = CommandContext<typeof OPTIONS>

export const command = defineCommand({
  name: 'front',
  summary: 'Stand between tools here and a server, and make any outage a miss',
  usage: ['front --server URL [--listen ADDR]', 'front --server URL --tool TOOL -- COMMAND…'],
  description:
    'Some tools end a build when their cache does not answer: Nx, and sccache. Led to a front on the same machine, they hear of a miss instead, in ' +
    'the words of their own protocol, and what they upload is taken and dropped. After a failure the server is left alone for some seconds, so that ' +
    'requests cost nothing. The front shows the token: tools need none in their files. It listens on addresses of this machine alone; whoever reaches ' +
    'it uses its token.\nWith a command, the front lasts as long as the command, which has RECUE_FRONT and what --tool says in its environment, and not ' +
    'RECUE_TOKEN.\nWith --json: first { http }.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  takesCommand: true,
  examples: [
    { line: 'recue front --server https://cache --tool nx -- npx nx build', does: 'For one build, as CI wants it.' },
    { line: 'recue front --server https://cache --token-file ~/.cache-token', does: 'For all tools of this machine.' },
  ],
  exits: [
    {
      code: 125,
      means: "A mistake in the flags, before the command ran. Otherwise the exit code is the command's own.",
    },
    { code: 126, means: 'The command may not be executed.' },
    { code: 127, means: 'The command was not found.' },
  ],
  async run(context) {
    const { options, commandLine } = context
    if (commandLine?.length === 0) throw new CacheError('usage', 'There is no command after --.')
    if (commandLine === undefined && options.tool.length > 0)
      throw new CacheError('usage', '--tool is for a command.', { hint: 'To see what to set: recue connect TOOL' })
    const listen = addressOf(context)
    const server = await serverAddressOf(context)
    const tools = await toolsNamed(options.tool)
    const { openFront } = await import('../../connect/front/front.ts')
    await using front = await openFront({
      ...{ listen, server, connectMs: options.connectTimeout, idleMs: options.answerTimeout },
      onChange: (change) => say(context, change),
    })
    // Awaited here: the front would else be gone before.
    if (commandLine === undefined) return await untilEnded(context, front.url)
    const { runThrough } = await import('../../connect/front/run-through.ts')
    return await runThrough(commandLine, {
      url: front.url,
      tools,
      environment: context.environment,
      signal: context.signal,
    })
  },
})

function addressOf({ options, commandLine }: Context) {
  const address = parseListenAddress(options.listen ?? (commandLine === undefined ? '8378' : '0'), '--listen')
  if (isLocal(address)) return address
  throw new CacheError('usage', 'A front listens on an address of this machine alone: who reaches it uses its token.', {
    hint: 'Other machines have a front of their own.',
  })
}

async function toolsNamed(names: readonly string[]) {
  if (names.length === 0) return []
  const { toolNamed } = await import('../../connect/tools.ts')
  return names.map(toolNamed)
}

async function untilEnded({ options, output, signal }: Context, url: string): Promise<number> {
  if (options.json) output.stdout.line(JSON.stringify({ http: url }))
  else if (!options.quiet) output.stdout.line(`A front for tools of this machine\non ${url}`)
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  return 0
}

/** To stderr, where the command's own words are not disturbed by more than a line. */
function say({ options, output }: Context, { isOpen, why }: { isOpen: boolean; why: string | undefined }): void {
  if (options.quiet) return
  const text = isOpen ? `the cache server is left alone; all is a miss meanwhile: ${why}` : 'the cache server is back'
  output.stderr.line(oneLine(`recue: ${text}`))
}
