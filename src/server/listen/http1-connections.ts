import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Connection, DEFAULT_LIMITS } from './connections.ts'

/** `expectsContinue`: the client sends its body only when it is told to. */
export type Http1Handler = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void

const MOST_HEADER_BYTES = 32 * 1024

/** Speaks HTTP/1.1 on connections that somebody else has taken. */
export function http1Connections(handle: Http1Handler): (connection: Connection) => void {
  const connections = new WeakMap<object, Connection>()
  const underWay = new WeakMap<object, Set<Asked>>()
  // Headers that never end, and connections on which nothing moves, are looked after by `Connections`.
  const server = createServer({
    requestTimeout: 0,
    keepAliveTimeout: DEFAULT_LIMITS.idleMs,
    maxHeaderSize: MOST_HEADER_BYTES,
  })
  const take: Http1Handler = (request, response, expectsContinue) => {
    const connection = connections.get(request.socket)
    connection?.begin()
    const asked = { request, response }
    const others = underWay.get(request.socket)?.add(asked)
    response.once('close', () => {
      others?.delete(asked)
      connection?.end()
    })
    handle(request, response, expectsContinue)
  }
  server.on('request', (request, response) => take(request, response, false))
  server.on('checkContinue', (request, response) => take(request, response, true))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const refusal = `HTTP/1.1 ${statusFor(error.code)}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`
    void answered(underWay.get(socket)).then((mayAnswer) => {
      if (!mayAnswer || !socket.writable) socket.destroy()
      else socket.end(refusal, () => socket.destroy())
    })
  })
  return (connection) => {
    connections.set(connection.socket, connection)
    underWay.set(connection.socket, new Set())
    // Each answer that is still to come says that it is the last.
    connection.speaks({ close: () => undefined })
    server.emit('connection', connection.socket)
  }
}

interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/**
 * Waits for the answers to requests that came whole before what is none: the client would take a refusal for the first of them.
 * False: one that is cut off by it is being answered already.
 */
async function answered(underWay: ReadonlySet<Asked> = new Set()): Promise<boolean> {
  const whole = [...underWay].filter(({ request }) => request.complete)
  await Promise.all(whole.map(({ response }) => response.closed || once(response, 'close')))
  return ![...underWay].some(({ response }) => response.headersSent)
}

function statusFor(code: string | undefined): string {
  return code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
}
