import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { CacheError, systemCode } from '../../errors.ts'
import { type ListenAddress, placeOf } from './address.ts'
import { removeDeadSocket } from './dead-socket.ts'
import type { TlsKeys } from './tls-keys.ts'

export interface SocketListenerOptions {
  /** Connections are encrypted, and given on once both sides have shown what they have to show. */
  readonly tls?: TlsKeys
  /** Several processes may listen there at once, and the system deals connections out to them (Linux, TCP). */
  readonly isShared?: boolean
}

export interface SocketListener {
  /** With the port that was chosen. */
  readonly address: ListenAddress
  /** Takes no more connections; those there are live on. A Unix socket's file is gone then. */
  stop(): Promise<void>
}

/** `alpn`: what the two sides agreed to speak, where there is TLS. */
export type SocketHandler = (socket: Socket, alpn?: string) => void

/**
 * Gives each connection to `take`. Servers of HTTP are not made to listen themselves, since only so can one address be for
 * all protocols and several processes, on both runtimes. Throws `usage` when the address cannot be had.
 */
export async function listenForSockets(
  address: ListenAddress,
  take: SocketHandler,
  { tls, isShared = false }: SocketListenerOptions = {},
): Promise<SocketListener> {
  if (address.kind === 'unix') await removeDeadSocket(address.path)
  const server = tls === undefined ? plainServer(take) : tls.createServer(SOCKET_OPTIONS, take)
  const listening = once(server, 'listening')
  if (address.kind === 'unix') listenForOwner(server, address.path)
  else server.listen({ port: address.port, host: address.host, reusePort: isShared })
  await listening.catch((error: Error) => Promise.reject(cannotListen(address, error)))
  // Later errors are of single connections that could not be taken, as where no file descriptor is left.
  server.on('error', () => undefined)
  return { address: boundAddress(server, address), stop: () => stopped(server) }
}

/** Half-open, as HTTP/1.1 needs it: a client may say that it is done before it is answered. */
const SOCKET_OPTIONS = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

function plainServer(take: SocketHandler): Server {
  return createServer(SOCKET_OPTIONS, (socket) => take(socket))
}

/** The file is there when the call returns, and nobody else's before it could be made so. */
function listenForOwner(server: Server, path: string): void {
  const before = process.umask(0o177)
  server.listen(path)
  process.umask(before)
}

/** Node's own promise is only kept when the last connection has ended. */
function stopped(server: Server): Promise<void> {
  server.close()
  return new Promise((resolve) => setImmediate(resolve))
}

function boundAddress(server: Server, address: ListenAddress): ListenAddress {
  const bound = server.address()
  return address.kind === 'tcp' && typeof bound === 'object' && bound !== null
    ? { ...address, port: bound.port }
    : address
}

function cannotListen(address: ListenAddress, cause: Error): CacheError {
  const code = systemCode(cause)
  const isNoFolder = code === 'ENOENT' && address.kind === 'unix'
  const why =
    code === 'EADDRINUSE'
      ? 'something else listens there'
      : isNoFolder
        ? 'there is no such folder'
        : (code ?? cause.message)
  return new CacheError('usage', `Cannot listen on ${placeOf(address)}: ${why}.`, {
    hint: isNoFolder ? 'Make it, or name another.' : 'Name another address; port 0 is any that is free.',
    cause,
  })
}
