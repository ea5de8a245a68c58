/**
 * Uploads to a server, each blob another one; prints what it took as JSON. A child of `serve.ts`, on a core of its own.
 *
 *   node serve-load.ts '{"upload":"put","host":"127.0.0.1","port":1,"blobBytes":1024,"requests":1000,"atOnce":16}'
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { BatchUpdateBlobsRequest } from '../src/proto/build/bazel/remote/execution/v2/cache_services.ts'
import { WriteRequest } from '../src/proto/google/bytestream/bytestream.ts'
import { content } from './blob-content.ts'
import { grpcMessage } from './grpc-message.ts'

export interface Upload {
  readonly upload: 'put' | 'batch-update' | 'write'
  readonly host: string
  readonly port: number
  readonly blobBytes: number
  readonly requests: number
  readonly atOnce: number
}

export interface UploadResult {
  readonly p99Micros: number
  readonly perSecond: number
}

const BATCH = 100
const CHUNK_BYTES = 1 << 20

const { upload, host, port, blobBytes, requests, atOnce } = JSON.parse(process.argv[2] ?? '') as Upload
const base = content(blobBytes)
const agent = new http.Agent({ keepAlive: true, maxSockets: atOnce })
const sessions = Array.from({ length: upload === 'put' ? 0 : Math.min(atOnce, 8) }, () =>
  http2.connect(`http://${host}:${port}`),
)
for (const session of sessions) session.on('connect', () => session.setLocalWindowSize(1 << 24))

const micros: number[] = []
let left = requests
const start = performance.now()
await Promise.all(Array.from({ length: atOnce }, (_, i) => worker(i)))
const seconds = (performance.now() - start) / 1000
micros.sort((a, b) => a - b)
const result: UploadResult = { p99Micros: micros[Math.floor(micros.length * 0.99)] ?? 0, perSecond: requests / seconds }
process.stdout.write(`${JSON.stringify(result)}\n`)
for (const session of sessions) session.close()
agent.destroy()

async function worker(number: number): Promise<void> {
  while (left-- > 0) {
    const pieces = prepared()
    const begun = performance.now()
    if (upload === 'put') await put(pieces)
    else await called(sessions[number % sessions.length] as http2.ClientHttp2Session, pieces)
    micros.push((performance.now() - begun) * 1000)
  }
}

interface Prepared {
  readonly path: string
  readonly pieces: readonly Uint8Array[]
}

function prepared(): Prepared {
  if (upload === 'batch-update') {
    const items = Array.from({ length: BATCH }, () => {
      const data = fresh()
      return { digest: { hash: hashOf(data), sizeBytes: data.length }, data, compressor: 0 as const }
    })
    const message = BatchUpdateBlobsRequest.encode({ instanceName: '', requests: items, digestFunction: 1 }).finish()
    const path = '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs'
    return { path, pieces: [grpcMessage(message)] }
  }
  const data = fresh()
  const hash = hashOf(data)
  if (upload === 'put') return { path: `/cas/${hash}`, pieces: [data] }
  const resourceName = `uploads/${randomUUID()}/blobs/${hash}/${data.length}`
  const pieces: Uint8Array[] = []
  for (let at = 0; at < data.length; at += CHUNK_BYTES) {
    const chunk = data.subarray(at, at + CHUNK_BYTES)
    const message = {
      resourceName: at === 0 ? resourceName : '',
      writeOffset: at,
      data: chunk,
      finishWrite: at + chunk.length === data.length,
    }
    pieces.push(grpcMessage(WriteRequest.encode(message).finish()))
  }
  return { path: '/google.bytestream.ByteStream/Write', pieces }
}

function fresh(): Buffer {
  const data = Buffer.from(base)
  randomBytes(16).copy(data)
  return data
}

function hashOf(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function put({ path, pieces }: Prepared): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-length': String(pieces[0]?.length) }
    const request = http.request({ host, port, agent, method: 'PUT', path, headers }, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === 200) resolve()
        else reject(new Error(`PUT was answered with ${response.statusCode}`))
      })
    })
    request.on('error', reject).end(pieces[0])
  })
}

function called(session: http2.ClientHttp2Session, { path, pieces }: Prepared): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    let status: unknown
    stream.on('response', (headers) => {
      status ??= headers['grpc-status']
    })
    stream.on('trailers', (trailers) => {
      status = trailers['grpc-status']
    })
    stream.on('error', reject)
    stream.on('close', () => (Number(status) === 0 ? resolve() : reject(new Error(`${path} ended with ${status}`))))
    stream.resume()
    void send(stream, pieces).catch(reject)
  })
}

async function send(stream: http2.ClientHttp2Stream, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) if (!stream.write(piece)) await once(stream, 'drain')
  stream.end()
}
