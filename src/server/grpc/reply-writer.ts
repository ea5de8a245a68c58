import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { framed } from '../../grpc/framed.ts'
import { GrpcCode, type GrpcStatus } from '../../grpc/status.ts'
import { trailersOf } from './metadata.ts'
import { EncodedMessage } from './service.ts'

const HEADERS = { ':status': 200, 'content-type': 'application/grpc' } as const
const WITH_TRAILERS = { waitForTrailers: true } as const
const OK_TRAILERS = { 'grpc-status': '0' } as const

/** Writes the answer of a call: messages, then the status. Once it is ended, or its client gone, it writes nothing more. */
export class ReplyWriter {
  sentBytes = 0
  /** The status has left, and all before it. */
  isSent = false
  #isEnded = false
  #trailers: OutgoingHttpHeaders = OK_TRAILERS
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream
  }

  get isEnded(): boolean {
    return this.#isEnded || this.#isGone
  }

  get #isGone(): boolean {
    return this.#stream.aborted || this.#stream.destroyed
  }

  /** The one message and the status OK, which leave together. */
  only(message: EncodedMessage | Uint8Array): void {
    if (this.isEnded) return
    const chunks = this.#framed(message)
    this.#isEnded = true
    this.#begin()
    const last = chunks.pop()
    for (const chunk of chunks) this.#stream.write(chunk)
    this.#stream.end(last)
  }

  /** Done when the client takes more. */
  async write(message: EncodedMessage | Uint8Array): Promise<void> {
    if (this.isEnded) return
    const chunks = this.#framed(message)
    if (!this.#stream.headersSent) this.#begin()
    let takesMore = true
    for (const chunk of chunks) takesMore = this.#stream.write(chunk)
    if (!takesMore) await drained(this.#stream)
  }

  /** A client that does not read what was written before would never see the status: its stream is cut. */
  end(status: GrpcStatus): void {
    if (this.isEnded) return
    this.#isEnded = true
    if (!this.#stream.headersSent) this.#respondOnly({ ...HEADERS, ...trailersOf(status) })
    else if (status.code === GrpcCode.DEADLINE_EXCEEDED && this.#stream.writableLength > 0)
      this.#stream.close(constants.NGHTTP2_CANCEL)
    else {
      this.#trailers = trailersOf(status)
      this.#stream.end()
    }
  }

  endAsHttp(status: number): void {
    if (this.isEnded) return
    this.#isEnded = true
    this.#respondOnly({ ':status': status })
  }

  #respondOnly(headers: OutgoingHttpHeaders): void {
    this.#stream.respond(headers, { endStream: true })
    this.isSent = true
  }

  #begin(): void {
    this.#stream.respond(HEADERS, WITH_TRAILERS)
    this.#stream.once('wantTrailers', () => {
      if (!this.#isGone) this.#stream.sendTrailers(this.#trailers)
      this.isSent = true
    })
  }

  #framed(message: EncodedMessage | Uint8Array): Uint8Array[] {
    const chunks = framed(message instanceof EncodedMessage ? message.pieces : [message])
    for (const chunk of chunks) this.sentBytes += chunk.length
    return chunks
  }
}

function drained(stream: ServerHttp2Stream): Promise<void> {
  if (stream.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
  })
}
