import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  BatchReadBlobsRequest,
  FindMissingBlobsRequest,
  GetActionResultRequest,
  UpdateActionResultRequest,
} from '../src/proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { ReadRequest } from '../src/proto/google/bytestream/bytestream.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, skippedRow } from './benchmark.ts'
import { content } from './blob-content.ts'
import { grpcMessage } from './grpc-message.ts'
import { type Load, type LoadResult, loaded } from './h2load.ts'
import { installed } from './installed.ts'
import { median } from './paired-runs.ts'
import { inPlace, node } from './place.ts'
import type { Upload, UploadResult } from './serve-load.ts'
import { LOAD_CORE, pinned, type Serving, serveBazelRemote, serveNginx, serveRecue } from './served.ts'

/**
 * `recue serve` beside bazel-remote, and nginx with static files as the floor: each server alone on one core, the load from
 * the other. What is compared is the server's processor time for a request, in which the load generator does not enter, and
 * the slowest hundredth of the answers.
 */
export const serve: Benchmark = {
  name: 'serve',
  run: async (options) => {
    const lacking = ['taskset', 'h2load', 'bazel-remote'].find((program) => !installed(program))
    if (lacking !== undefined) return [skippedRow('recue serve', `${lacking} is not installed`)]
    return inPlace('serve', (folder) => measure(folder, options))
  },
}

const ROUNDS = 5
/** Before a small request is timed: a server runs for days, and its runtime compiles what is used most within some seconds. */
const WARM_UP = 40_000
const CONNECTIONS = 32
/** Of requests that are small. */
const MANY = 10_000
const CAS = '/build.bazel.remote.execution.v2.ContentAddressableStorage'
const AC = '/build.bazel.remote.execution.v2.ActionCache'
const LOOK_UP_BAR = 1
/** At least 0.8 of the bytes for the same work. */
const BULK_BAR = 1.25

interface Blob {
  readonly digest: { readonly hash: string; readonly sizeBytes: number }
  readonly data: Buffer
}

/** `warmUp`: so many requests in the round that is not counted, else as many as in the others. */
type Operation = { readonly what: string; readonly bar: number; readonly warmUp?: number } & (
  | { readonly load: Load }
  | { readonly upload: Omit<Upload, 'host' | 'port'> }
)

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const root = path.join(folder, 'static')
  mkdirSync(path.join(root, 'cas'), { recursive: true })
  await using ours = await serveRecue(folder, 'executable')
  await using onNode = await serveRecue(folder, 'node')
  await using theirs = (await serveBazelRemote(folder)) as Serving
  await using floor = await serveNginx(folder, root)
  const blobs = {
    small: Array.from({ length: 1000 }, (_, i) => blobOf(4096, i)),
    kib: blobOf(1024),
    mib: blobOf(1 << 20),
    large: blobOf(100 << 20),
  }
  const action = blobOf(100)
  const result = ActionResult.encode({
    ...ActionResult.decode(Buffer.alloc(0)),
    outputFiles: blobs.small.slice(0, 3).map(({ digest }, i) => outputFile(digest, i)),
  }).finish()
  for (const server of [ours, onNode, theirs]) {
    for (const blob of [...blobs.small, blobs.kib, blobs.mib, blobs.large, action]) await putBlob(server, blob)
    const update = UpdateActionResultRequest.encode({
      instanceName: '',
      actionDigest: action.digest,
      actionResult: ActionResult.decode(result),
      digestFunction: 1,
    }).finish()
    await call(server, `${AC}/UpdateActionResult`, grpcMessage(update))
  }
  for (const { digest, data } of [blobs.kib, blobs.mib]) writeFileSync(path.join(root, 'cas', digest.hash), data)
  const rows: Row[] = []
  for (const operation of operationsOn(blobs, action, options)) {
    if ('load' in operation && operation.load.grpc !== undefined)
      for (const server of [ours, onNode, theirs])
        await call(server, operation.load.grpc.path, operation.load.grpc.body)
    rows.push(...compared(operation, { ours, onNode, theirs, floor }, folder, options))
  }
  return [...rows, ...memoryRows(ours, theirs)]
}

function operationsOn(
  blobs: { readonly small: readonly Blob[]; readonly kib: Blob; readonly mib: Blob; readonly large: Blob },
  action: Blob,
  options: BenchOptions,
): Operation[] {
  const many = (count: number) => scaled(count, options, 32)
  const warmedUp = (requests: number) => (requests >= MANY ? { warmUp: WARM_UP } : {})
  const unary = (what: string, requests: number, method: string, message: Uint8Array, bar: number): Operation => ({
    what,
    bar,
    ...warmedUp(requests),
    load: { requests: many(requests), connections: CONNECTIONS, grpc: { path: method, body: grpcMessage(message) } },
  })
  const get = (what: string, requests: number, { digest }: Blob, bar: number): Operation => ({
    what,
    bar,
    ...warmedUp(requests),
    load: { requests: many(requests), connections: CONNECTIONS, httpPath: `/cas/${digest.hash}` },
  })
  const read = (what: string, requests: number, { digest }: Blob): Operation => ({
    what,
    bar: BULK_BAR,
    load: {
      requests: scaled(requests, options, 2),
      connections: Math.min(8, scaled(requests, options, 2)),
      grpc: {
        path: '/google.bytestream.ByteStream/Read',
        body: grpcMessage(
          ReadRequest.encode({
            resourceName: `blobs/${digest.hash}/${digest.sizeBytes}`,
            readOffset: 0,
            readLimit: 0,
          }).finish(),
        ),
      },
    },
  })
  const upload = (
    what: string,
    kind: Upload['upload'],
    blobBytes: number,
    requests: number,
    bar = BULK_BAR,
  ): Operation => ({
    what,
    bar,
    upload: {
      upload: kind,
      blobBytes,
      requests: scaled(requests, options, 2),
      atOnce: Math.min(16, scaled(requests, options, 2)),
    },
  })
  const digests = blobs.small.map(({ digest }) => digest)
  return [
    unary(
      'GetActionResult',
      20_000,
      `${AC}/GetActionResult`,
      GetActionResultRequest.encode({
        instanceName: '',
        actionDigest: action.digest,
        inlineStdout: false,
        inlineStderr: false,
        inlineOutputFiles: [],
        digestFunction: 1,
      }).finish(),
      LOOK_UP_BAR,
    ),
    unary(
      'FindMissingBlobs, 1,000 digests',
      1_000,
      `${CAS}/FindMissingBlobs`,
      FindMissingBlobsRequest.encode({ instanceName: '', blobDigests: digests, digestFunction: 1 }).finish(),
      LOOK_UP_BAR,
    ),
    unary(
      'BatchReadBlobs, 100 of 4 KiB',
      1_000,
      `${CAS}/BatchReadBlobs`,
      BatchReadBlobsRequest.encode({
        instanceName: '',
        digests: digests.slice(0, 100),
        acceptableCompressors: [],
        digestFunction: 1,
      }).finish(),
      BULK_BAR,
    ),
    upload('BatchUpdateBlobs, 100 of 4 KiB', 'batch-update', 4096, 50),
    read('ByteStream.Read, 1 MiB', 300, blobs.mib),
    read('ByteStream.Read, 100 MiB', 4, blobs.large),
    upload('ByteStream.Write, 1 MiB', 'write', 1 << 20, 100),
    upload('ByteStream.Write, 100 MiB', 'write', 100 << 20, 2),
    get('HTTP GET, 1 KiB', 20_000, blobs.kib, LOOK_UP_BAR),
    get('HTTP GET, 1 MiB', 300, blobs.mib, BULK_BAR),
    upload('HTTP PUT, 1 KiB', 'put', 1024, 2_000),
    upload('HTTP PUT, 1 MiB', 'put', 1 << 20, 100),
  ]
}

interface Servers {
  readonly ours: Serving
  readonly onNode: Serving
  readonly theirs: Serving
  readonly floor: Serving | undefined
}

/** In turn, as all of bench; the first round is not counted. */
function compared(
  operation: Operation,
  { ours, onNode, theirs, floor }: Servers,
  folder: string,
  options: BenchOptions,
): Row[] {
  const isStatic = 'load' in operation && operation.load.httpPath !== undefined
  const servers = [ours, onNode, theirs, ...(isStatic && floor !== undefined ? [floor] : [])]
  const results = new Map<Serving, LoadResult[]>(servers.map((server) => [server, []]))
  for (let round = -1; round < scaled(ROUNDS, options, 3); round++)
    for (const server of servers) {
      const result =
        'load' in operation ? loaded(server, loadOf(operation, round), folder) : uploaded(server, operation.upload)
      if (round >= 0) results.get(server)?.push(result)
    }
  const of = (server: Serving) => results.get(server) ?? []
  const { what, bar } = operation
  return [
    rowOf(what, ours, of(ours), theirs, of(theirs), bar),
    rowOf(`${what}, on Node`, onNode, of(onNode), theirs, of(theirs)),
    ...(isStatic && floor !== undefined ? [rowOf(what, ours, of(ours), floor, of(floor))] : []),
    p99Row(what, of(ours), of(theirs)),
  ]
}

function loadOf({ load, warmUp }: Extract<Operation, { load: Load }>, round: number): Load {
  return round < 0 && warmUp !== undefined ? { ...load, requests: warmUp } : load
}

function rowOf(
  what: string,
  a: Serving,
  ours: readonly LoadResult[],
  b: Serving,
  theirs: readonly LoadResult[],
  bar?: number,
): Row {
  return {
    what: `${what}: processor`,
    ours: shown(a.name, ours),
    theirs: shown(b.name, theirs),
    ratio: median(ours.map(({ cpuMicros }, i) => cpuMicros / (theirs[i]?.cpuMicros ?? Number.NaN))),
    ...(bar !== undefined && { bar }),
  }
}

function shown(name: string, results: readonly LoadResult[]): string {
  const perSecond = median(results.map((result) => result.perSecond))
  return `${name} ${micros(median(results.map(({ cpuMicros }) => cpuMicros)))}, ${perSecond.toFixed(perSecond < 100 ? 1 : 0)}/s`
}

function p99Row(what: string, ours: readonly LoadResult[], theirs: readonly LoadResult[]): Row {
  return {
    what: `${what}: p99`,
    ours: `recue ${micros(median(ours.map(({ p99Micros }) => p99Micros)))}`,
    theirs: `bazel-remote ${micros(median(theirs.map(({ p99Micros }) => p99Micros)))}`,
    ratio: median(ours.map(({ p99Micros }, i) => p99Micros / (theirs[i]?.p99Micros ?? Number.NaN))),
  }
}

function micros(value: number): string {
  return value >= 10_000 ? `${(value / 1000).toFixed(0)} ms` : `${value.toFixed(0)} us`
}

function uploaded(server: Serving, upload: Omit<Upload, 'host' | 'port'>): LoadResult {
  const address = upload.upload === 'put' ? server.http : server.grpc
  const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'serve-load.ts')
  const argv = pinned(LOAD_CORE, [node, script, JSON.stringify({ ...upload, ...address })])
  const before = server.cpuMicros()
  const { stdout, stderr, status } = spawnSync(argv[0], argv.slice(1), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${upload.upload} to ${server.name}: ${stderr.trim().split('\n').at(-1)}`)
  return { ...(JSON.parse(stdout) as UploadResult), cpuMicros: (server.cpuMicros() - before) / upload.requests }
}

function memoryRows(ours: Serving, theirs: Serving): Row[] {
  const mib = (bytes: number) => bytes / 2 ** 20
  return [
    {
      what: 'memory after all this',
      ours: `recue ${mib(ours.residentBytes()).toFixed(0)} MiB`,
      theirs: `bazel-remote ${mib(theirs.residentBytes()).toFixed(0)} MiB`,
      ratio: ours.residentBytes() / theirs.residentBytes(),
    },
  ]
}

function blobOf(bytes: number, number = 0): Blob {
  const data = content(bytes)
  data.writeUInt32LE(number)
  return { data, digest: { hash: createHash('sha256').update(data).digest('hex'), sizeBytes: bytes } }
}

function outputFile(digest: Blob['digest'], number: number) {
  return { path: `out/file-${number}.o`, digest, isExecutable: false, contents: Buffer.alloc(0) }
}

async function putBlob({ http }: Serving, { digest, data }: Blob): Promise<void> {
  const response = await fetch(`http://${http.host}:${http.port}/cas/${digest.hash}`, { method: 'PUT', body: data })
  if (!response.ok) throw new Error(`a blob was refused with ${response.status}`)
  await response.arrayBuffer()
}

/** Throws unless the call succeeds: what is timed is not to be a refusal. */
async function call({ name, grpc }: Serving, method: string, body: Uint8Array): Promise<void> {
  const session = http2.connect(`http://${grpc?.host}:${grpc?.port}`)
  try {
    const status = await new Promise((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': method,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.on('response', (headers) => headers['grpc-status'] !== undefined && resolve(headers['grpc-status']))
      stream.on('trailers', (trailers) => resolve(trailers['grpc-status']))
      stream.on('error', reject)
      stream.resume().end(body)
    })
    if (Number(status) !== 0) throw new Error(`${method} on ${name} ended with ${status}`)
  } finally {
    session.close()
  }
}

if (import.meta.main) await runAlone(serve)
