import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { systemCode } from '../../errors.ts'
import { authorizationOf, isTls, type ServerAddress } from '../server-address.ts'

/** The server ended a call, or there was none. `code` is gRPC's; undefined where gRPC was not spoken. */
export class GrpcCallFault extends Error {
  readonly code: number | undefined

  constructor(code: number | undefined, message: string) {
    super(message)
    this.code = code
  }
}

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

export interface GrpcClient extends Disposable {
  /** A call of one message each way. Throws `GrpcCallFault`. */
  call<Q, A>(path: string, request: Q, codecs: readonly [Codec<Q>, Codec<A>]): Promise<A>
}

/** A connection for a few calls, each bounded by `withinMs`. */
export function grpcClient(address: ServerAddress, withinMs: number): GrpcClient {
  const { url, socketPath, tls } = address
  const session = connect(url.origin, {
    ...(isTls(address) && tls),
    ...(socketPath !== undefined && { createConnection: () => connectSocket(socketPath) }),
  })
  let broken: Error | undefined
  session.on('error', (error) => {
    broken = error
  })
  return {
    async call(path, request, [question, answer]) {
      const bytes = await unary(
        session,
        { path, message: question.encode(request).finish(), withinMs },
        address,
        () => broken,
      )
      return answer.decode(bytes)
    },
    [Symbol.dispose]: () => session.destroy(),
  }
}

interface Call {
  readonly path: string
  readonly message: Uint8Array
  readonly withinMs: number
}

function unary(
  session: ClientHttp2Session,
  { path, message, withinMs }: Call,
  address: ServerAddress,
  broken: () => Error | undefined,
): Promise<Uint8Array> {
  const stream = session.request({
    ...{ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
    ...{ 'grpc-timeout': `${withinMs}m`, ...authorizationOf(address) },
  })
  const chunks: Uint8Array[] = []
  let headers: Record<string, unknown> = {}
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new GrpcCallFault(undefined, `no answer within ${withinMs / 1000} s`))
      stream.close()
    }, withinMs)
    stream.on('response', (first) => {
      headers = { ...headers, ...first }
    })
    stream.on('trailers', (last) => {
      headers = { ...headers, ...last }
    })
    stream.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    stream.on('error', (error) => reject(faultOf(broken() ?? error)))
    stream.on('close', () => {
      clearTimeout(timer)
      const status = headers['grpc-status']
      if (status === '0') resolve(Buffer.concat(chunks).subarray(FRAME_HEADER_BYTES))
      else if (status === undefined) reject(broken() ? faultOf(broken() as Error) : notGrpc(headers))
      else reject(new GrpcCallFault(Number(status), textOf(headers['grpc-message'])))
    })
    stream.end(framed(message))
  })
}

const FRAME_HEADER_BYTES = 5

/** Not compressed, with its length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, FRAME_HEADER_BYTES)
  return frame
}

function notGrpc(headers: Record<string, unknown>): GrpcCallFault {
  const status = headers[':status']
  return new GrpcCallFault(
    undefined,
    status === undefined ? 'the connection was closed' : `it answered HTTP ${status}, and no gRPC`,
  )
}

function faultOf(error: Error): GrpcCallFault {
  return new GrpcCallFault(undefined, systemCode(error) ?? error.message)
}

function textOf(message: unknown): string {
  try {
    return decodeURIComponent(String(message ?? ''))
  } catch {
    return String(message)
  }
}
