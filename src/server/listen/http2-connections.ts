import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { sessionOptions, tuneSession } from '../grpc/session-options.ts'
import type { Connection } from './connections.ts'

export type Http2Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** Speaks HTTP/2 on a connection that somebody else has taken, encrypted or with prior knowledge. */
export function takeHttp2(connection: Connection, windowBytes: number, handle: Http2Handler): void {
  // Without requests under way, nothing keeps a client that has said goodbye.
  connection.socket.allowHalfOpen = false
  const session: ServerHttp2Session = performServerHandshake(connection.socket, sessionOptions(windowBytes))
  tuneSession(session, windowBytes)
  session.on('error', () => undefined)
  // The first frame of a client, behind its preface: RFC 9113, section 3.4.
  session.once('remoteSettings', () => connection.greeted())
  session.on('stream', (stream, headers) => {
    connection.begin()
    stream.once('close', () => connection.end())
    stream.on('error', () => undefined)
    handle(stream, headers)
  })
  connection.speaks({
    close: () => session.close(),
    ping: (onAnswer) => {
      if (!session.destroyed) session.ping((error) => error === null && onAnswer())
    },
  })
}
