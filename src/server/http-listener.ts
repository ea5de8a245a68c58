import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { CacheError, systemCode } from '../errors.ts'

/** Where to listen: a TCP port, 0 for any that is free, or a Unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface HttpListener {
  /** As a client writes it: `http://127.0.0.1:8080`, `unix:/run/recue.sock`. */
  readonly url: string
  /** Takes no new connections, lets what is under way finish within `graceMs`, then cuts it. */
  close(graceMs: number): Promise<void>
}

/** `expectsContinue`: the client sends its body only when it is told to. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void

/** A client that does not finish its header in this time has gone, or means harm. */
const HEADERS_TIMEOUT_MS = 15_000
/** A connection on which nothing moves. Uploads may take as long as they like as long as they go on. */
const IDLE_TIMEOUT_MS = 60_000
const SWEEP_MS = 20

/** Throws `usage` when the address cannot be had. */
export async function listenHttp(address: ListenAddress, handle: HttpHandler): Promise<HttpListener> {
  const server = createServer({
    requestTimeout: 0,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
  })
  server.on('request', (request, response) => handle(request, response, false))
  server.on('checkContinue', (request, response) => handle(request, response, true))
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    else socket.destroy()
  })
  server.timeout = IDLE_TIMEOUT_MS
  await listening(server, address)
  return { url: urlOf(server, address), close: (graceMs) => closed(server, graceMs) }
}

function listening(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(address, error)))
    server.once('listening', resolve)
    if (address.kind === 'unix') server.listen(address.path)
    else server.listen(address.port, address.host)
  })
}

function cannotListen(address: ListenAddress, cause: Error): CacheError {
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`
  const code = systemCode(cause)
  const why = code === 'EADDRINUSE' ? 'something else listens there' : (code ?? cause.message)
  return new CacheError('usage', `Cannot listen on ${where}: ${why}.`, {
    hint: 'Name another address; port 0 is any that is free.',
    cause,
  })
}

function urlOf(server: Server, address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  return `http://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`
}

async function closed(server: Server, graceMs: number): Promise<void> {
  const done = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // One that was busy just now and is kept alive would hold the end up for as long as its client likes.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS)
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await done
  clearInterval(sweep)
  clearTimeout(timer)
}
