import { once } from 'node:events'
import { createServer as createHttp1, type RequestListener } from 'node:http'
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net'
import { framed } from '../../grpc/framed.ts'
import {
  CacheCapabilities,
  DigestFunction_Value,
  ServerCapabilities,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { RemoteOptions } from './open-remote.ts'

/** Little patience, for servers that have none coming. */
export const HASTY: RemoteOptions = { connectMs: 300, idleMs: 300 }
export const PATIENT: RemoteOptions = { connectMs: 5_000, idleMs: 10_000 }

export interface FaultyServer extends AsyncDisposable {
  readonly address: string
  /** The last parts of the methods' paths, or methods and paths, in the order they came. */
  readonly asked: string[]
}

/** A call whose request has come whole, unless the handler is for a stream of them. */
export type Handler = (stream: ServerHttp2Stream, request: Buffer) => void

/** A server of gRPC that does what the test says; it can name its capabilities, unless it is told how. */
export async function faultyGrpc(handlers: Readonly<Record<string, Handler>>): Promise<FaultyServer> {
  const asked: string[] = []
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => undefined)
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined)
    const method = String(headers[':path']).split('/').at(-1) ?? ''
    asked.push(method)
    const handler = handlers[method] ?? DEFAULTS[method]
    if (STREAMS_OF_REQUESTS.has(method)) return handler?.(stream, Buffer.alloc(0))
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => {
      if (!stream.destroyed) handler?.(stream, Buffer.concat(chunks).subarray(5))
    })
  })
  const address = `grpc://127.0.0.1:${await portOf(server)}`
  return {
    ...{ address, asked },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const STREAMS_OF_REQUESTS: ReadonlySet<string> = new Set(['Write', 'Hold'])

export function capabilitiesAs(change: (message: ServerCapabilities) => ServerCapabilities): Handler {
  return (stream) => answer(stream, ServerCapabilities.encode(change(usual())).finish())
}

const DEFAULTS: Readonly<Record<string, Handler>> = { GetCapabilities: capabilitiesAs((message) => message) }

function usual(): ServerCapabilities {
  return {
    ...ServerCapabilities.decode(new Uint8Array(0)),
    cacheCapabilities: {
      ...CacheCapabilities.decode(new Uint8Array(0)),
      digestFunctions: [DigestFunction_Value.SHA256],
      actionCacheUpdateCapabilities: { updateEnabled: true },
    },
  }
}

/** Begins a gRPC answer; its status comes when the stream is ended. */
export function begin(stream: ServerHttp2Stream, status = 0): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }))
}

export function say(stream: ServerHttp2Stream, message: Uint8Array): boolean {
  return stream.write(Buffer.concat(framed([message])))
}

export function answer(stream: ServerHttp2Stream, message: Uint8Array): void {
  begin(stream)
  say(stream, message)
  stream.end()
}

export function refuse(stream: ServerHttp2Stream, status: number, message = ''): void {
  const trailers = { 'grpc-status': String(status), 'grpc-message': encodeURIComponent(message) }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true })
}

/** What a proxy says. */
export function asHttp(stream: ServerHttp2Stream, status: number, headers: Record<string, string>, body = ''): void {
  stream.respond({ ':status': status, ...headers })
  stream.end(body)
}

export async function faultyHttp(listener: RequestListener): Promise<FaultyServer> {
  const asked: string[] = []
  const server = createHttp1((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    listener(request, response)
  })
  const address = `http://127.0.0.1:${await portOf(server)}`
  return {
    ...{ address, asked },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port at which each connection is met so. */
export async function faultyPort(meet: (socket: Socket) => void): Promise<FaultyServer> {
  const sockets = new Set<Socket>()
  const server = createTcp((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    meet(socket)
  })
  const address = `127.0.0.1:${await portOf(server)}`
  return {
    ...{ address, asked: [] },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function portOf(server: Pick<Server, 'listen' | 'address'> & NodeJS.EventEmitter): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
