import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { windowBytesBeside } from '../grpc/session-options.ts'
import type { HttpExchange } from '../http-exchange.ts'
import { http1Exchange } from '../http1-exchange.ts'
import { http2Exchange } from '../http2-exchange.ts'
import type { Connection, Connections } from './connections.ts'
import { tellProtocol } from './first-bytes.ts'
import { http1Connections } from './http1-connections.ts'
import { takeHttp2 } from './http2-connections.ts'
import type { SocketHandler } from './socket-listener.ts'

/** Who answers at an address. */
export interface Answering {
  readonly http: (exchange: HttpExchange) => void
  /** Undefined: calls of gRPC are requests like others, for what is not there. */
  readonly grpc: ((stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) | undefined
}

/**
 * Speaks on each connection what its client speaks: HTTP/1.1, or HTTP/2 with prior knowledge; under TLS what was agreed.
 * So one address is enough for all protocols.
 */
export function speaking(connections: Connections, { http, grpc }: Answering): SocketHandler {
  const takeHttp1 = http1Connections((...args) => http(http1Exchange(...args)))
  const takeStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    if (grpc !== undefined && headers['content-type']?.startsWith('application/grpc')) grpc(stream, headers)
    else http(http2Exchange(stream, headers))
  }
  const take = (connection: Connection, isHttp2: boolean) => {
    if (isHttp2) takeHttp2(connection, windowBytesBeside(connections.count), takeStream)
    else takeHttp1(connection)
  }
  return (socket, alpn) => {
    const connection = connections.add(socket)
    if (connection === undefined) return
    if (alpn !== undefined) take(connection, alpn === 'h2')
    else tellProtocol(socket, (protocol) => take(connection, protocol === 'http2'))
  }
}
