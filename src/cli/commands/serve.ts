import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import type { RunningServer } from '../../server/serve.ts'
import type { AccessEntry } from '../../server/watcher.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { isLocal, parseListenAddress } from '../listen-address.ts'
import { oneLine } from '../table.ts'

const OPTIONS = {
  http: {
    kind: 'text',
    value: 'ADDR',
    default: '127.0.0.1:8377',
    summary: 'Where to listen: PORT, HOST:PORT or unix:PATH. Port 0 is any that is free.',
    variable: true,
  },
  grpc: {
    kind: 'text',
    value: 'ADDR',
    summary: 'Where gRPC is served, written likewise. Without: where HTTP is.',
    variable: true,
  },
  tokens: {
    kind: 'text',
    value: 'FILE',
    summary: 'Who may: lines of "read TOKEN" or "write TOKEN". Without: whoever reaches a local address.',
    variable: true,
  },
  open: { kind: 'flag', summary: 'Serve other machines without tokens.' },
  accessLog: { kind: 'flag', summary: 'Write a line for each request.' },
} as const

type Context = CommandContext<typeof OPTIONS>

export const command = defineCommand({
  name: 'serve',
  summary: 'Serve the cache to build tools, over HTTP and gRPC',
  usage: ['serve [--http ADDR] [--grpc ADDR] [--tokens FILE]'],
  description:
    'Bazel, Turborepo, Nx, Gradle and ccache keep their results here, each in its own protocol: docs/serve.md says what to set ' +
    'in each. Runs until it is told to end (Ctrl-C, SIGTERM); then it takes no new work and lets what is under way finish.\n' +
    'With --json: first { http, grpc }, then with --access-log a line of JSON for each request.',
  options: OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [
    { line: 'recue serve', does: 'For the tools of this machine.' },
    { line: 'recue serve --http 0.0.0.0:8377 --tokens /etc/recue/tokens', does: 'For a team.' },
  ],
  async run(context) {
    const http = parseListenAddress(context.options.http, '--http')
    const grpc = context.options.grpc === undefined ? http : parseListenAddress(context.options.grpc, '--grpc')
    const gate = await gateFor(context, isLocal(http) && isLocal(grpc))
    await using session = await context.open({ longLived: true })
    const { serve } = await import('../../server/serve.ts')
    await using server = await serve(session.cache, {
      ...{ http, grpc, gate },
      onFault: ({ protocol, error }) => context.output.stderr.line(faultLine(protocol, error)),
      ...(context.options.accessLog && { onRequest: (entry) => writeEntry(context, entry) }),
    })
    announce(context, server, session.cache.dir)
    await ended(context.signal)
    if (!context.options.quiet) context.output.stderr.line('recue: ending; what is under way may finish')
    return 0
  },
})

async function gateFor({ options, cwd }: Context, local: boolean) {
  const { gateOf, OPEN } = await import('../../server/access.ts')
  const { tokens, open } = options
  if (tokens !== undefined) return gateOf(textOf(resolve(cwd, tokens), tokens), tokens)
  if (local || open) return OPEN
  throw new CacheError('usage', 'Other machines could reach this address, and no tokens are asked for.', {
    hint: 'Name a file of them with --tokens; or say --open, if whoever reaches it may read and write.',
  })
}

function textOf(file: string, name: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CacheError('usage', `--tokens: ${name} cannot be read (${systemCode(cause) ?? cause}).`, { cause })
  }
}

function announce({ options, output }: Context, { url, grpcUrl }: RunningServer, dir: string): void {
  if (options.json) output.stdout.line(JSON.stringify({ http: url, grpc: grpcUrl }))
  else if (!options.quiet) output.stdout.line(`Serving ${dir}\non ${url}\nand ${grpcUrl}`)
}

function writeEntry({ options, output }: Context, entry: AccessEntry): void {
  if (options.json) {
    output.stdout.line(JSON.stringify({ time: new Date().toISOString(), ...entry }))
    return
  }
  const { protocol, method, path, status, receivedBytes, sentBytes, durationMs } = entry
  const bytes = `${receivedBytes} in, ${sentBytes} out`
  output.stdout.line(
    oneLine(
      `${new Date().toISOString()} ${status} ${method} ${path} ${protocol || '-'} ${bytes} ${durationMs.toFixed(1)} ms`,
    ),
  )
}

function faultLine(protocol: string, error: unknown): string {
  const { message, hint } = error as { message?: string; hint?: string }
  return oneLine(`recue: ${protocol}: ${message ?? String(error)}${hint === undefined ? '' : ` ${hint}`}`)
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
