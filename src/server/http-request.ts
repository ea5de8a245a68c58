import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request's body, asked for when somebody reads it: a client that waits for 100 Continue is told then, and not before. */
export interface RequestBody {
  readonly bytes: AsyncIterable<Uint8Array>
  /** As announced; undefined where it was not, or is no number. */
  readonly contentLength: number | undefined
  /**
   * Takes in what nobody read, as far as it is little, so that the client hears the answer instead of a reset connection.
   * False: too much is left, and the connection is to be closed.
   */
  drain(): Promise<boolean>
}

const MOST_DRAINED_BYTES = 1 << 20

export function bodyOf(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): RequestBody {
  let isRead = false
  const announced = request.headers['content-length']
  const contentLength = announced !== undefined && /^\d{1,15}$/.test(announced) ? Number(announced) : undefined
  return {
    contentLength,
    bytes: {
      async *[Symbol.asyncIterator]() {
        isRead = true
        if (expectsContinue) response.writeContinue()
        for await (const chunk of request) yield chunk as Uint8Array
        if (!request.complete) throw new Error('the client went away before all was sent')
      },
    },
    async drain() {
      if (request.complete || (isRead && request.readableEnded)) return true
      // Whoever waits for 100 Continue has not sent anything.
      if (expectsContinue && !isRead) return false
      if ((contentLength ?? Number.POSITIVE_INFINITY) > MOST_DRAINED_BYTES) return false
      request.resume()
      await new Promise((resolve) => request.once('end', resolve).once('close', resolve))
      return request.complete
    },
  }
}
