import { spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { ByteStreamDefinition, QueryWriteStatusRequest } from '../src/proto/google/bytestream/bytestream.ts'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled, skippedRow } from './benchmark.ts'
import { type Runtime, runtimes } from './child-script.ts'
import { grpcMessage } from './grpc-message.ts'
import { loaded } from './h2load.ts'
import { installed } from './installed.ts'
import { median, type Timing } from './paired-runs.ts'
import { inFolder } from './place.ts'
import { pinned, SERVER_CORE, type Serving, serving } from './served.ts'

/** The server's processor time for a small call of gRPC: ours, no more than the runtime's HTTP/2 asks for, and grpc-js. */
export const grpcUnary: Benchmark = {
  name: 'grpc-unary',
  run: (options) => inFolder('grpc-unary', (folder) => measure(folder, options)),
}

const REQUESTS = 20_000
const ROUNDS = 7
const BAR_BARE = 1.15
const BAR_GRPC_JS = 0.9
const KINDS = ['ours', 'bare', 'grpc-js'] as const

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  if (!installed('h2load')) return [skippedRow('small calls of gRPC', 'h2load is not installed')]
  const rows: Row[] = []
  for (const runtime of runtimes) {
    const [ours, bare, grpcJs] = await timesOn(runtime, folder, options)
    rows.push(rowOf(`CPU of a small gRPC call, ${runtime.name}`, ours, bare, BAR_BARE))
    rows.push(rowOf(`CPU of a small gRPC call, ${runtime.name}`, ours, grpcJs, BAR_GRPC_JS))
  }
  return rows
}

/** In turn, each round of all three before the next. */
async function timesOn(runtime: Runtime, folder: string, options: BenchOptions): Promise<[Timing, Timing, Timing]> {
  await using stack = new AsyncDisposableStack()
  const servers: Serving[] = []
  for (const kind of KINDS) servers.push(stack.use(await started(runtime, kind)))
  const request = QueryWriteStatusRequest.encode({ resourceName: 'x'.repeat(64) }).finish()
  const { fullName, methods } = ByteStreamDefinition
  const grpc = { path: `/${fullName}/${methods.queryWriteStatus.name}`, body: grpcMessage(request) }
  const load = { requests: scaled(REQUESTS, options, 2000), connections: 4, grpc }
  const runsMs = servers.map((): number[] => [])
  for (let round = -1; round < ROUNDS; round++) {
    for (const [i, server] of servers.entries()) {
      const { cpuMicros } = loaded(server, load, folder)
      if (round >= 0) runsMs[i]?.push(cpuMicros / 1000)
    }
  }
  const timing = (i: number): Timing => ({
    name: KINDS[i] ?? '',
    medianMs: median(runsMs[i] ?? []),
    runsMs: runsMs[i] ?? [],
  })
  return [timing(0), timing(1), timing(2)]
}

async function started(runtime: Runtime, kind: string): Promise<Serving> {
  const script = path.join(import.meta.dirname, 'grpc-unary-child.ts')
  const [program, ...argv] = pinned(SERVER_CORE, [...runtime.argv, script, kind])
  const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout })) {
    const address = { host: '127.0.0.1', port: Number(line) }
    return serving(kind, child, address, address)
  }
  throw new Error(`grpc-unary-child.ts ${kind} ended on ${runtime.name}`)
}

if (import.meta.main) await runAlone(grpcUnary)
