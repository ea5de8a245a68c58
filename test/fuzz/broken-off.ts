import type { Socket } from 'node:net'
import { Flag, FrameType, frame, PREFACE, requestHeaders, SETTINGS } from '../../src/server/listen/raw-http2.fixture.ts'
import { opened } from './door.ts'
import { shown, type Verdict } from './findings.ts'
import { framed } from './grpc-client.ts'
import { encodedRequest, pathOf } from './grpc-messages.ts'
import { HTTP_PROTOCOLS } from './http-protocols.ts'
import { requestBytes } from './http1-client.ts'
import { digestOf, type NamedDigest } from './odd.ts'
import type { Random } from './random.ts'
import type { Server } from './servers.ts'

export interface Asking {
  readonly isThere: (path: string) => Promise<boolean>
  readonly isMissing: (digest: NamedDigest) => Promise<boolean>
  /** Of something large, to be read in part. */
  readonly largePath: string
  readonly largeName: string
}

/** A client that goes away at any byte of what it says, or of what it hears, in any protocol: what it brought in part is not kept. */
export async function brokenOff(server: Server, random: Random, asking: Asking): Promise<Verdict> {
  const way = random.pick([upload, upload, call, call, download, rpcDownload])
  const { bytes, isHttp2, whole, mayNotBe } = way(server, random, asking)
  const at = mayNotBe === undefined ? bytes.length : random.below(whole)
  const socket = await opened(isHttp2 ? server.grpc : server.http, isHttp2 ? 'h2' : 'http/1.1')
  if (random.chance(0.5)) socket.write(bytes.subarray(0, at))
  else {
    const half = random.below(at + 1)
    socket.write(bytes.subarray(0, half))
    await new Promise((resolve) => setImmediate(resolve))
    socket.write(bytes.subarray(half, at))
  }
  await left(socket, random)
  if (mayNotBe === undefined) return undefined
  const isKept = typeof mayNotBe === 'string' ? await asking.isThere(mayNotBe) : !(await asking.isMissing(mayNotBe))
  return isKept ? `${JSON.stringify(mayNotBe)} was kept of ${at} bytes of ${shown(bytes)}` : undefined
}

/** After hearing something, or nothing; with a goodbye, or none. */
async function left(socket: Socket, random: Random): Promise<void> {
  const patience = random.below(3)
  if (patience === 1) await new Promise((resolve) => setImmediate(resolve))
  if (patience === 2) {
    socket.end()
    await new Promise((resolve) => socket.once('data', resolve).once('close', resolve).once('end', resolve))
  }
  // Neither TLS nor a Unix socket can be reset.
  if (random.chance(0.5) && socket.remotePort !== undefined && !('encrypted' in socket)) socket.resetAndDestroy()
  else socket.destroy()
}

interface Way {
  readonly bytes: Buffer
  readonly isHttp2: boolean
  /** As many bytes are needed for it to be whole. */
  readonly whole: number
  readonly mayNotBe?: string | NamedDigest
}

function upload(server: Server, random: Random): Way {
  const protocol = random.pick(HTTP_PROTOCOLS.filter(({ isOpaque }) => isOpaque))
  const target = `${protocol.prefix}/${protocol.key(random)}`
  const bytes = requestBytes({
    method: 'PUT',
    target,
    headers: { ...server.headers, ...protocol.headers },
    body: random.exactly(random.pick([10, 5_000, 100_000])),
  })
  return { bytes, isHttp2: false, whole: bytes.length, mayNotBe: target }
}

function http2(...frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat([PREFACE, SETTINGS, ...frames])
}

function rpc(server: Server, method: string): Buffer {
  return frame(
    FrameType.headers,
    Flag.endHeaders,
    1,
    requestHeaders('POST', pathOf(method), { ...server.headers, 'content-type': 'application/grpc', te: 'trailers' }),
  )
}

function call(server: Server, random: Random): Way {
  const data = random.exactly(random.pick([10, 3_000, 15_000]))
  const digest = digestOf(data)
  const [method, fields] = random.pick<[string, object]>([
    ['ContentAddressableStorage/BatchUpdateBlobs', { requests: [{ digest, data, compressor: 0 }] }],
    [
      'ByteStream/Write',
      { resourceName: `uploads/${random.hex(8)}/blobs/${digest.hash}/${digest.sizeBytes}`, finishWrite: true, data },
    ],
  ])
  const bytes = http2(
    rpc(server, method),
    frame(FrameType.data, Flag.endStream, 1, framed(encodedRequest(method, fields))),
  )
  return { bytes, isHttp2: true, whole: bytes.length, mayNotBe: digest }
}

function download(server: Server, random: Random, { largePath }: Asking): Way {
  const bytes = Buffer.concat(
    random.list(3, () => requestBytes({ method: 'GET', target: largePath, headers: server.headers })),
  )
  return { bytes, isHttp2: false, whole: bytes.length }
}

function rpcDownload(server: Server, _random: Random, { largeName }: Asking): Way {
  const bytes = http2(
    rpc(server, 'ByteStream/Read'),
    frame(FrameType.data, Flag.endStream, 1, framed(encodedRequest('ByteStream/Read', { resourceName: largeName }))),
  )
  return { bytes, isHttp2: true, whole: bytes.length }
}
