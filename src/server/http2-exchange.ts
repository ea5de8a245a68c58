import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { contentLengthOf, type HttpExchange } from './http-exchange.ts'
import type { Reply } from './protocol.ts'
import { sendReply } from './send-reply.ts'

/** A request of a tool's HTTP protocol that came over HTTP/2, as from clients that are offered it by TLS. */
export function http2Exchange(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): HttpExchange {
  return new Http2Exchange(stream, headers)
}

class Http2Exchange implements HttpExchange {
  readonly headers: IncomingHttpHeaders
  readonly contentLength: number | undefined
  readonly #stream: ServerHttp2Stream
  readonly #gone = new AbortController()
  #isAnswered = false

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.#stream = stream
    this.headers = headers
    this.contentLength = contentLengthOf(headers)
    stream.once('close', () => {
      // Whether the stream's writable side has finished says nothing: a reset finishes it, too.
      if (!this.#isAnswered) this.#gone.abort(new Error('the client has gone'))
    })
  }

  get method() {
    return this.headers[':method'] ?? 'GET'
  }

  get target() {
    return this.headers[':path'] ?? '/'
  }

  get isEncrypted() {
    return this.#stream.session?.encrypted === true
  }

  get signal() {
    return this.#gone.signal
  }

  get body(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#bytes() }
  }

  async send(reply: Reply): Promise<number> {
    const stream = this.#stream
    const sent = await sendReply(stream, reply, {
      isHead: this.method === 'HEAD',
      start: (status, headers) => stream.respond({ ':status': status, ...headers }),
    })
    this.#isAnswered = true
    // What nobody read goes by: it must not fill the window that the connection's other streams share.
    stream.resume()
    return sent
  }

  cut(): void {
    this.#stream.destroy()
  }

  async *#bytes(): AsyncGenerator<Uint8Array> {
    const stream = this.#stream
    if (this.headers.expect?.toLowerCase() === '100-continue') stream.additionalHeaders({ ':status': 100 })
    try {
      for await (const chunk of stream) yield chunk as Uint8Array
      // A reset that comes before reading begins looks like the end, to both runtimes (Node 26, Bun 1.4.5).
      if (stream.aborted) throw new Error('the client went away before all was sent')
    } catch (error) {
      // It can be heard of here before the stream is closed: that is no fault of ours.
      this.#gone.abort(error)
      throw error
    }
  }
}
