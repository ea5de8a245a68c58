import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import path from 'node:path'
import { QueryWriteStatusRequest, ReadRequest, WriteRequest } from '../src/proto/google/bytestream/bytestream.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, skippedRow } from './benchmark.ts'
import { content } from './blob-content.ts'
import { grpcMessage } from './grpc-message.ts'
import { installed } from './installed.ts'
import { inPlace } from './place.ts'
import { type Serving, serveBazelRemote, serveRecue } from './served.ts'

/** Memory of `recue serve` under what holds much of it, beside bazel-remote. Each server is a new one for each row. */
export const serveMemory: Benchmark = {
  name: 'serve-memory',
  run: async (options) => {
    if (!installed('taskset')) return [skippedRow('memory of recue serve', 'taskset is not installed')]
    return inPlace('serve-memory', (folder) => measure(folder, options))
  },
}

const MIB = 1 << 20
const IDLE = 1_000
const BUSY = 200
const CHUNK_BYTES = MIB
const BYTE_STREAM = '/google.bytestream.ByteStream'
/** MB of 1,000,000, as the bars are told. */
const MOST_HELD_MB = 400
const MOST_GROWN_MB = 64
/** Nothing, as far as it can be told from what garbage waits to be collected. */
const NOTHING_MB = 16

interface Scenario {
  readonly what: string
  readonly bar: number
  /** The memory that counts, in bytes. */
  readonly run: (server: Serving) => Promise<number>
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const [number, { what, bar, run }] of scenarios(options).entries()) {
    const of = async (name: string, start: (folder: string) => Promise<Serving | undefined>) => {
      const own = path.join(folder, `${number}-${name}`)
      mkdirSync(own)
      await using server = await start(own)
      return server && (await run(server)) / 1e6
    }
    const theirs = await of('bazel-remote', serveBazelRemote)
    for (const runtime of ['executable', 'node'] as const) {
      const ours = (await of(runtime, (own) => serveRecue(own, runtime))) as number
      rows.push({
        what: `memory: ${what}, ${runtime === 'node' ? 'on Node' : 'the executable'}`,
        ours: `${ours.toFixed(0)} MB`,
        theirs: theirs === undefined ? 'bazel-remote is not installed' : `bazel-remote ${theirs.toFixed(0)} MB`,
        ratio: ours,
        bar,
        unit: 'MB',
      })
    }
  }
  return rows
}

function scenarios(options: BenchOptions): Scenario[] {
  const idle = scaled(IDLE, options, 100)
  const busy = scaled(BUSY, options, 20)
  const uploadMib = options.curve ? 10 * 1024 : scaled(512, options, 64)
  return [
    {
      what: `${idle} idle connections and ${busy} that read and write 1 MiB`,
      bar: MOST_HELD_MB,
      run: (server) => idleAndBusy(server, idle, busy, scaled(4, options, 2)),
    },
    {
      what: `${busy} readers of 64 MiB that stand still`,
      bar: MOST_HELD_MB,
      run: (server) => standingReaders(server, busy),
    },
    {
      what: `${busy} uploads that stand still after 3 MiB`,
      bar: MOST_HELD_MB,
      run: (server) => standingUploads(server, busy),
    },
    {
      what: `growth by an upload of ${uploadMib} MiB, behind one of 2 MiB`,
      bar: MOST_GROWN_MB,
      run: async (server) => {
        // What is loaded for the first upload is there for all.
        await using connection = connected(server)
        await write(connection, 2 * MIB)
        return await growth(server, () => write(connection, uploadMib * MIB))
      },
    },
    {
      what: 'growth by a reader that takes 128 MiB slowly',
      bar: NOTHING_MB,
      run: async (server) => {
        await using connection = connected(server)
        const name = await write(connection, 128 * MIB)
        await read(connection, name)
        return await growth(server, () => readSlowly(server, name))
      },
    },
  ]
}

async function growth(server: Serving, work: () => Promise<unknown>): Promise<number> {
  const before = server.residentBytes()
  return (await server.peakBytesDuring(async () => void (await work()))) - before
}

async function idleAndBusy(server: Serving, idle: number, busy: number, rounds: number): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const first = stack.use(connected(server))
  const name = await write(first, MIB)
  const hash = name.split('/')[1] as string
  return await server.peakBytesDuring(async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: idle, maxFreeSockets: idle })
    stack.defer(() => agent.destroy())
    await Promise.all(Array.from({ length: idle / 2 }, () => get(server, agent, `/cas/${hash}`)))
    for (let i = 0; i < idle / 2; i++) await called(stack.use(connected(server)), 'QueryWriteStatus', [queryOf(name)])
    await Promise.all(
      Array.from({ length: busy }, async (_, number) => {
        const own = stack.use(connected(server))
        for (let round = 0; round < rounds; round++)
          if (number % 4 === 0) await write(own, MIB)
          else if (number % 2 === 0) await get(server, agent, `/cas/${hash}`)
          else await read(own, name)
      }),
    )
  })
}

async function standingReaders(server: Serving, count: number): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const name = await write(stack.use(connected(server)), 64 * MIB)
  return await server.peakBytesDuring(async () => {
    await Promise.all(
      Array.from({ length: count }, async () => {
        // Its window is what the first chunks fill, and nobody opens it again.
        const stream = opened(stack.use(connected(server)), 'Read')
        stream.end(grpcMessage(readOf(name)))
        await once(stream, 'response')
      }),
    )
    await settled(server)
  })
}

async function standingUploads(server: Serving, count: number): Promise<number> {
  await using stack = new AsyncDisposableStack()
  return await server.peakBytesDuring(async () => {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const { messages } = uploadOf(4 * MIB)
        const stream = opened(stack.use(connected(server)), 'Write')
        for (const message of messages.take(3)) stream.write(grpcMessage(message))
        await once(stream, 'ready').catch(() => undefined)
      }),
    )
    await settled(server)
  })
}

/** Answers again, and so has taken in what came before. */
async function settled(server: Serving): Promise<void> {
  await using connection = connected(server)
  for (let i = 0; i < 20; i++) {
    await called(connection, 'QueryWriteStatus', [queryOf(uploadOf(MIB).name)])
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

interface Connection extends AsyncDisposable {
  readonly session: http2.ClientHttp2Session
}

function connected({ grpc }: Serving): Connection {
  const session = http2.connect(`http://${grpc?.host}:${grpc?.port}`)
  session.on('error', () => undefined)
  return {
    session,
    async [Symbol.asyncDispose]() {
      session.destroy()
    },
  }
}

function opened({ session }: Connection, method: string): http2.ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': `${BYTE_STREAM}/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.on('error', () => undefined)
  return stream
}

async function called(connection: Connection, method: string, messages: Iterable<Uint8Array>): Promise<void> {
  const stream = opened(connection, method)
  const ended = new Promise<void>((resolve, reject) => {
    let status: unknown
    stream.on('response', (headers) => {
      status ??= headers['grpc-status']
    })
    stream.on('trailers', (trailers) => {
      status = trailers['grpc-status']
    })
    stream.on('close', () => (Number(status) === 0 ? resolve() : reject(new Error(`${method} ended with ${status}`))))
  })
  stream.resume()
  for (const message of messages) await sent(stream, message)
  stream.end()
  await ended
}

async function sent(stream: http2.ClientHttp2Stream, message: Uint8Array): Promise<void> {
  if (stream.write(grpcMessage(message)) || stream.destroyed) return
  await new Promise<void>((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
  })
}

/** Its name, to read it by. */
async function write(connection: Connection, bytes: number): Promise<string> {
  const { name, messages } = uploadOf(bytes)
  await called(connection, 'Write', messages)
  return name
}

function read(connection: Connection, name: string): Promise<void> {
  return called(connection, 'Read', [readOf(name)])
}

/** As fast as a window of 64 KiB, opened again every few milliseconds, lets it. */
async function readSlowly(server: Serving, name: string): Promise<void> {
  await using connection = connected(server)
  const stream = opened(connection, 'Read')
  stream.end(grpcMessage(readOf(name)))
  for await (const chunk of stream) if ((chunk as Uint8Array).length > 0) await new Promise(setImmediate)
}

function readOf(resourceName: string): Uint8Array {
  return ReadRequest.encode({ resourceName, readOffset: 0, readLimit: 0 }).finish()
}

function queryOf(name: string): Uint8Array {
  return QueryWriteStatusRequest.encode({ resourceName: `uploads/${randomUUID()}/${name}` }).finish()
}

const base = content(4 * MIB)

/** Another blob each time; no part of it is that of another. */
function uploadOf(bytes: number): { readonly name: string; readonly messages: Generator<Uint8Array> } {
  const seed = randomBytes(16)
  const piece = Buffer.from(base)
  const pieceAt = (at: number) => {
    piece.set(seed)
    piece.writeUIntBE(at, 16, 6)
    return piece.subarray(0, Math.min(bytes - at, piece.length))
  }
  const hash = createHash('sha256')
  for (let at = 0; at < bytes; at += piece.length) hash.update(pieceAt(at))
  const name = `blobs/${hash.digest('hex')}/${bytes}`
  function* messages() {
    for (let at = 0; at < bytes; at += CHUNK_BYTES) {
      const inPiece = at % piece.length
      const data = pieceAt(at - inPiece).subarray(inPiece, inPiece + CHUNK_BYTES)
      const resourceName = at === 0 ? `uploads/${randomUUID()}/${name}` : ''
      yield WriteRequest.encode({
        ...{ resourceName, writeOffset: at, data, finishWrite: at + data.length === bytes },
      }).finish()
    }
  }
  return { name, messages: messages() }
}

async function get({ http: { host, port } }: Serving, agent: http.Agent, target: string): Promise<void> {
  const request = http.get({ host, port, agent, path: target }).on('error', () => undefined)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`${target} was answered with ${response.statusCode}`)
  await once(response.resume(), 'end')
}

if (import.meta.main) await runAlone(serveMemory)
