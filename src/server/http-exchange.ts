import type { IncomingHttpHeaders } from 'node:http'
import type { Reply } from './protocol.ts'

/** One request over HTTP and the way to answer it, whichever version of HTTP it came by. */
export interface HttpExchange {
  readonly method: string
  /** Path and query, as they came. */
  readonly target: string
  readonly headers: IncomingHttpHeaders
  /** It came by TLS. */
  readonly isEncrypted: boolean
  /** As announced; undefined where it was not. */
  readonly contentLength: number | undefined
  /** The bytes as they come; fails when the client goes away before all are there. To ask for them asks the client to send them. */
  readonly body: AsyncIterable<Uint8Array>
  /** Aborted when the client has gone before it was answered. */
  readonly signal: AbortSignal
  /** Sends the reply, and says how many bytes of content went out. `isLast`: the connection takes no further request. */
  send(reply: Reply, isLast: boolean): Promise<number>
  /** Ends it without an answer. */
  cut(): void
}

/** What is announced as a number that can be one. */
export function contentLengthOf(headers: IncomingHttpHeaders): number | undefined {
  const announced = headers['content-length']
  return announced !== undefined && /^\d{1,15}$/.test(announced) ? Number(announced) : undefined
}
