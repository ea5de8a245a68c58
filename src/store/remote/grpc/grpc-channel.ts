import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { connectionFault, notSpoken, timedOut } from '../connection-fault.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import { tunnelTo } from '../tunnel.ts'
import { abortable, Waiting } from '../waiting.ts'
import { GrpcCall } from './grpc-call.ts'

interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array }
}

interface Decoder<T> {
  decode(bytes: Uint8Array): T
}

/** A method as generated code has it, with its service. */
export interface Method<Q, A> {
  readonly path: string
  readonly request: Encoder<Q>
  readonly answer: Decoder<A>
}

/** Of one stream: a far server may send so much before it hears that we read. */
const STREAM_WINDOW_BYTES = 4 << 20
/** Less than twice that of a stream, or Bun (1.4.5) never opens a stream's again. */
const CONNECTION_WINDOW_BYTES = 7 << 20

/** One connection for all calls, opened when it is needed and anew after it broke. */
export class GrpcChannel implements Disposable {
  readonly #server: RemoteServer
  readonly #patience: Patience
  #connection: Connection | undefined
  /** One way through the proxy, for all who wait for it. */
  #connecting: Promise<Connection> | undefined
  #isLeft = false
  #receivedBytes = 0
  readonly #received = (bytes: number) => {
    this.#receivedBytes += bytes
  }

  constructor(server: RemoteServer, patience: Patience) {
    this.#server = server
    this.#patience = patience
  }

  get server(): RemoteServer {
    return this.#server
  }

  /** Of all answers so far. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** A call of one message each way. Throws what a GrpcCall does. */
  async unary<Q, A>({ path, request, answer }: Method<Q, A>, message: Q, signal?: AbortSignal): Promise<A> {
    const call = await this.open(path, signal)
    const [bytes] = await Promise.all([call.only(), sendOnly(call, request.encode(message).finish())])
    return decoded(answer, bytes, this.#server)
  }

  /** Throws CacheError where there can be no connection, or the signal's reason. */
  async open(path: string, signal?: AbortSignal): Promise<GrpcCall> {
    signal?.throwIfAborted()
    const { freshHeaders } = this.#server
    const fresh = freshHeaders && (await abortable(freshHeaders(), signal))
    const connected = this.#connected()
    const connection = connected instanceof Promise ? await abortable(connected, signal) : connected
    const { idleMs } = this.#patience
    const headers = { ...fresh, ...this.#headers(path) }
    try {
      const stream = connection.session.request(headers)
      const connectionError = () => connection.error
      return new GrpcCall(stream, { server: this.#server, idleMs, signal, connectionError, received: this.#received })
    } catch (error) {
      throw connectionFault(this.#server, 'gRPC', connection.error ?? error)
    }
  }

  [Symbol.dispose](): void {
    this.#isLeft = true
    this.#connection?.leave()
    this.#connection = undefined
  }

  #headers(path: string): OutgoingHttpHeaders {
    const own = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
    return { ...this.#server.headers, ...own }
  }

  #connected(): Connection | Promise<Connection> {
    const { session } = this.#connection ?? {}
    if (this.#connection !== undefined && !session?.closed && !session?.destroyed) return this.#connection
    const { proxy } = this.#server
    if (proxy === undefined) {
      this.#connection = openConnection(this.#server, this.#patience)
      return this.#connection
    }
    this.#connecting ??= this.#connectedThrough(proxy).finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #connectedThrough(proxy: URL): Promise<Connection> {
    const { connectMs } = this.#patience
    const socket = await tunnelTo(this.#server, proxy, { connectMs, protocol: 'gRPC' })
    const connection = openConnection(this.#server, this.#patience, socket)
    if (this.#isLeft) connection.leave()
    else this.#connection = connection
    return connection
  }
}

export function decoded<T>(codec: Decoder<T>, bytes: Uint8Array, server: RemoteServer): T {
  try {
    return codec.decode(bytes)
  } catch (error) {
    throw notSpoken(server, 'gRPC', 'an answer that cannot be read', error)
  }
}

async function sendOnly(call: GrpcCall, message: Uint8Array): Promise<void> {
  await call.send([message])
  call.end()
}

interface Connection {
  readonly session: ClientHttp2Session
  readonly error: unknown
  leave(): void
}

function openConnection(server: RemoteServer, { connectMs }: Patience, socket: Socket = socketTo(server)): Connection {
  const session = connect(server.url.origin, {
    settings: { initialWindowSize: STREAM_WINDOW_BYTES, enablePush: false },
    createConnection: () => socket,
  })
  const leave = () => {
    session.destroy()
    // A session leaves one alone that is not connected yet, which then holds the process for as long as the system tries.
    if (socket.connecting) socket.destroy()
  }
  let error: unknown
  let hasSpoken = false
  const fail = (why: unknown) => {
    error ??= why
  }
  const opening = new Waiting(connectMs, () => {
    fail(timedOut(server, connectMs))
    leave()
  })
  opening.begin()
  session.on('error', (why) => fail(hasSpoken ? why : whyNotOpened(server, why)))
  session.once('remoteSettings', () => {
    hasSpoken = true
    opening.end()
  })
  // It may have been left by then.
  session.once('connect', () => session.destroyed || session.setLocalWindowSize(CONNECTION_WINDOW_BYTES))
  session.once('close', () => {
    opening.end()
    if (!hasSpoken) fail(notSpoken(server, 'gRPC', 'it closed the connection without a word'))
  })
  // No new calls on it; those under way may end.
  session.once('goaway', () => session.close())
  return {
    ...{ session, leave },
    get error() {
      return error
    },
  }
}

function socketTo({ url, socketPath, tls }: RemoteServer): Socket {
  if (socketPath !== undefined) return connectSocket(socketPath)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (url.protocol === 'http:') return connectSocket({ host, port: Number(url.port || 80) })
  const servername = isIP(host) === 0 ? { servername: host } : {}
  return connectTls({ ...tls, ...servername, host, port: Number(url.port || 443), ALPNProtocols: ['h2'] })
}

/** nghttp2 has no better word for a server that answers in another protocol. */
function whyNotOpened(server: RemoteServer, error: unknown): unknown {
  const fault = connectionFault(server, 'gRPC', error)
  const isOfHttp2 = /^ERR_HTTP2_/.test(String((error as { code?: unknown }).code))
  return isOfHttp2 ? notSpoken(server, 'gRPC', (error as Error).message, error) : fault
}
