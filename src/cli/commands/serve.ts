import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CacheError } from '../../errors.ts'
import type { ListenAddress } from '../../server/listen/address.ts'
import type { RunningServer, ServeOptions } from '../../server/serve.ts'
import { type CommandContext, defineCommand } from '../command.ts'
import { isLocal, parseListenAddress } from '../listen-address.ts'
import { accessLine } from '../serve/access-log.ts'
import { FaultLines } from '../serve/fault-lines.ts'
import { gateFor } from '../serve/gate-for.ts'
import { startLean } from '../serve/lean-start.ts'
import { openServed } from '../serve/open-served.ts'
import { type ServeValues, settled } from '../serve/serve-config.ts'
import { SERVE_OPTIONS } from '../serve/serve-options.ts'
import { type Supervisor, supervisorOf } from '../serve/worker.ts'
import { type Listening, WORKER_VARIABLE } from '../serve/worker-messages.ts'

const GRACE_MS = 10_000
const DEFAULT_ADDRESS = '127.0.0.1:8377'

type Context = CommandContext<typeof SERVE_OPTIONS>

export const command = defineCommand({
  name: 'serve',
  summary: 'Serve the cache to build tools, over HTTP and gRPC',
  usage: ['serve [--http ADDR] [--grpc ADDR] [--tokens FILE]'],
  description:
    'Build tools keep their results here, each in its own protocol: recue connect lists them, and says what to set in each. ' +
    'Runs until it is told to end (Ctrl-C, SIGTERM); then it takes no new work and lets what is under way finish.\n' +
    'With --json: first { http, grpc }, then with --access-log a line of JSON for each request.',
  options: SERVE_OPTIONS,
  arguments: { min: 0, max: 0 },
  examples: [
    { line: 'recue serve', does: 'For the tools of this machine.' },
    { line: 'recue serve --http 0.0.0.0:8377 --tokens /etc/recue/tokens', does: 'For a team.' },
    {
      line: 'recue serve --config /etc/recue/serve.json',
      does: 'With TLS, workers and all else in a file: docs/serve.md.',
    },
  ],
  async run(context) {
    startLean()
    const supervisor = supervisorOf(context.environment[WORKER_VARIABLE] === '1')
    const { values, said } = await settled(context.options, context.cwd)
    const addresses = addressesOf(values)
    const { workers = 1 } = values
    if (workers > 1 && supervisor === undefined) return superviseWorkers(context, addresses, workers)
    using settings = await serveOptions(context, values, addresses, supervisor)
    await using session = await context.open({ longLived: true, said })
    const [{ serve }, { openUsage }] = await Promise.all([
      import('../../server/serve.ts'),
      import('../../server/usage.ts'),
    ])
    const { ledger, readOnly: isReadOnly } = session.cache
    using usage = isReadOnly ? undefined : openUsage(ledger)
    await using served = await openServed(session.cache, values)
    await using server = await serve(
      { ...served, usage },
      { ...settings.options, isStoreThere: () => existsSync(join(session.cache.dir, 'FORMAT')) },
    )
    const listening = listeningOf(server, session.cache.dir)
    if (supervisor === undefined) announce(context, listening)
    else supervisor.tell(listening)
    await ended(supervisor?.signal ?? context.signal)
    if (supervisor === undefined) sayEnding(context)
    return 0
  },
})

interface Addresses {
  readonly http: ListenAddress
  readonly grpc: ListenAddress
}

function addressesOf(options: ServeValues): Addresses {
  const http = parseListenAddress(options.http ?? DEFAULT_ADDRESS, '--http')
  return { http, grpc: options.grpc === undefined ? http : parseListenAddress(options.grpc, '--grpc') }
}

async function serveOptions(
  { cwd, output, options: { json } }: Context,
  options: ServeValues,
  { http, grpc }: Addresses,
  supervisor: Supervisor | undefined,
) {
  const tls = await tlsOf(options, cwd, (text) => output.stderr.line(`recue: ${text}`))
  const gate = gateFor({
    tokens: options.tokens === undefined ? undefined : { name: options.tokens, file: resolve(cwd, options.tokens) },
    isGuarded: (isLocal(http) && isLocal(grpc)) || tls?.asksClients === true,
    open: options.open,
  })
  const write = (line: string) => output.stdout.line(line)
  const faults = new FaultLines((line) => output.stderr.line(line))
  const serving: ServeOptions = {
    ...{ http, grpc, gate, tls, graceMs: GRACE_MS, isShared: supervisor !== undefined },
    onFault: (fault) => faults.tell(fault),
    ...(options.accessLog && {
      onRequest: (entry) => {
        const line = accessLine(entry, { json })
        if (supervisor === undefined) write(line)
        else void supervisor.mayWrite.then(() => write(line))
      },
    }),
  }
  return {
    options: serving,
    [Symbol.dispose]() {
      faults[Symbol.dispose]()
      tls?.[Symbol.dispose]()
    },
  }
}

async function tlsOf({ tlsCert, tlsKey, tlsClientCa }: ServeValues, cwd: string, warn: (text: string) => void) {
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined)
    throw new CacheError('usage', 'TLS needs both a certificate and its key.', {
      hint: 'Name them with --tls-cert and --tls-key.',
    })
  const { openTlsKeys } = await import('../../server/listen/tls-keys.ts')
  const files = {
    cert: resolve(cwd, tlsCert),
    key: resolve(cwd, tlsKey),
    ...(tlsClientCa !== undefined && { clientCa: resolve(cwd, tlsClientCa) }),
  }
  return openTlsKeys(files, warn)
}

async function superviseWorkers(context: Context, addresses: Addresses, count: number): Promise<number> {
  const [{ runWorkers }, { checkShareable }, { selfCommand }] = await Promise.all([
    import('../serve/workers.ts'),
    import('../serve/shareable.ts'),
    import('../self-command.ts'),
  ])
  for (const address of new Set(Object.values<ListenAddress>({ ...addresses }))) await checkShareable(address)
  const own = process.argv.slice(2)
  const signal = context.signal
  signal.addEventListener('abort', () => sayEnding(context), { once: true })
  return runWorkers(
    {
      count,
      commandLine: (found) => [...selfCommand(), ...own, ...(found === undefined ? [] : flagsFor(found))],
      environment: context.environment,
      graceMs: GRACE_MS,
      onListening: (listening) => announce(context, listening),
      say: (text) => context.output.stderr.line(`recue: ${text}`),
    },
    signal,
  )
}

/** The last of a flag counts, so that these stand for port 0. */
function flagsFor({ http, grpc }: Listening): string[] {
  return ['--http', http.replace(/^\w+:\/\//, ''), '--grpc', grpc.replace(/^\w+:\/\//, '')]
}

function listeningOf({ url, grpcUrl }: RunningServer, dir: string): Listening {
  return { kind: 'listening', http: url, grpc: grpcUrl, dir }
}

function announce({ options, output }: Context, { http, grpc, dir }: Listening): void {
  if (options.json) output.stdout.line(JSON.stringify({ http, grpc }))
  else if (!options.quiet) output.stdout.line(`Serving ${dir}\non ${http}\nand ${grpc}`)
}

function sayEnding({ options, output }: Context): void {
  if (!options.quiet) output.stderr.line('recue: ending; what is under way may finish')
}

function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
