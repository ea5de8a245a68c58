import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { contentLengthOf, type HttpExchange } from './http-exchange.ts'
import type { Reply } from './protocol.ts'
import { sendReply } from './send-reply.ts'

const MOST_DRAINED_BYTES = 1 << 20
const MOST_WAITING_BYTES = 256 << 10

/** `expectsContinue`: the client sends its body only when it is told to. */
export function http1Exchange(
  request: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
): HttpExchange {
  return new Http1Exchange(request, response, expectsContinue)
}

class Http1Exchange implements HttpExchange {
  readonly contentLength: number | undefined
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #expectsContinue: boolean
  readonly #gone = new AbortController()
  #isRead = false

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) {
    this.#request = request
    this.#response = response
    this.#expectsContinue = expectsContinue
    this.contentLength = contentLengthOf(request.headers)
    response.once('close', () => {
      if (!response.writableFinished) this.#gone.abort(new Error('the client has gone'))
    })
    response.on('error', () => undefined)
    request.on('error', () => undefined)
  }

  get method() {
    return this.#request.method ?? 'GET'
  }

  get target() {
    return this.#request.url ?? '/'
  }

  get headers() {
    return this.#request.headers
  }

  get isEncrypted() {
    return this.#request.socket instanceof TLSSocket
  }

  get signal() {
    return this.#gone.signal
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#bytes() }
  }

  async send(reply: Reply, isLast: boolean): Promise<number> {
    const keepAlive = (await this.#drain()) && !isLast
    const connection = keepAlive ? {} : { connection: 'close' }
    const response = this.#response
    return sendReply(response, reply, {
      isHead: this.method === 'HEAD',
      start: (status, headers) => void response.writeHead(status, { ...headers, ...connection }),
    })
  }

  cut(): void {
    this.#response.destroy()
  }

  async *#bytes(): AsyncGenerator<Uint8Array> {
    this.#isRead = true
    if (this.#expectsContinue) this.#response.writeContinue()
    try {
      for await (const chunk of this.#request) yield* this.#held(chunk as Uint8Array)
      if (!this.#request.complete) throw new Error('the client went away before all was sent')
    } catch (error) {
      // Bun (1.4.5) tells of it here before the response is closed: that is no fault of ours.
      this.#gone.abort(error)
      throw error
    }
  }

  /** Bun (1.4.5) takes in all that comes on a connection that it was handed, however much waits to be read. Node stays below this. */
  *#held(chunk: Uint8Array): Generator<Uint8Array> {
    const { readableLength, socket } = this.#request
    if (chunk.length + readableLength <= MOST_WAITING_BYTES) return yield chunk
    socket.pause()
    try {
      yield chunk
    } finally {
      socket.resume()
    }
  }

  /**
   * Takes in what nobody read, as far as it is little, so that the client hears the answer instead of a reset connection.
   * False: too much is left, and the connection is to be closed.
   */
  async #drain(): Promise<boolean> {
    const request = this.#request
    if (request.complete || (this.#isRead && request.readableEnded)) return true
    // Whoever waits for 100 Continue has not sent anything.
    if (this.#expectsContinue && !this.#isRead) return false
    if ((this.contentLength ?? Number.POSITIVE_INFINITY) > MOST_DRAINED_BYTES) return false
    if (request.destroyed) return false
    request.resume()
    await new Promise((resolve) => request.once('end', resolve).once('close', resolve))
    return request.complete
  }
}
