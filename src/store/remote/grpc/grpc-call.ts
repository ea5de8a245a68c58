import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2'
import { framed } from '../../../grpc/framed.ts'
import { type Divide, MessageParser, MessagePart, type ReceivedMessage } from '../../../grpc/message-parser.ts'
import { GrpcCode, GrpcStatus } from '../../../grpc/status.ts'
import { connectionFault, notSpoken, timedOut } from '../connection-fault.ts'
import type { RemoteServer } from '../remote-server.ts'
import { Waiting } from '../waiting.ts'

/** Servers send at most 4 MiB at once unless they are told otherwise; some a little more. */
const MOST_MESSAGE_BYTES = 8 << 20

export interface CallContext {
  readonly server: RemoteServer
  readonly idleMs: number
  readonly signal: AbortSignal | undefined
  /** What broke the connection, where something did. */
  connectionError(): unknown
  received(bytes: number): void
}

/**
 * One call: messages out, messages in. Throws GrpcStatus for what the server says of it, CacheError for what the network does,
 * and the signal's reason. Ends when it is read to its end, or cancelled.
 */
export class GrpcCall {
  readonly #stream: ClientHttp2Stream
  readonly #context: CallContext
  readonly #waiting: Waiting
  readonly #onAbort = () => this.cancel()
  #headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {}
  #fault: unknown

  constructor(stream: ClientHttp2Stream, context: CallContext) {
    this.#stream = stream
    this.#context = context
    this.#waiting = new Waiting(context.idleMs, () => {
      this.#fault ??= timedOut(context.server, context.idleMs)
      this.cancel()
    })
    const take = (headers: IncomingHttpHeaders) => {
      this.#headers = { ...this.#headers, ...headers }
    }
    stream.on('response', take).on('trailers', take)
    // Whoever reads or writes hears of it, too.
    stream.on('error', (error) => {
      this.#fault ??= error
    })
    stream.once('close', () => {
      this.#waiting.end()
      context.signal?.removeEventListener('abort', this.#onAbort)
    })
    context.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Done when more may be sent; false when the server wants no more. `pieces` are one message, and are not touched again. */
  async send(pieces: readonly Uint8Array[]): Promise<boolean> {
    if (!this.#takesMore) return false
    let hasRoom = true
    for (const chunk of framed(pieces)) hasRoom = this.#stream.write(chunk)
    if (!hasRoom) await this.#drained()
    return this.#takesMore
  }

  end(): void {
    if (this.#takesMore) this.#stream.end()
  }

  cancel(): void {
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  /** The one message of the answer. */
  async only(): Promise<Uint8Array> {
    let first: Uint8Array | undefined
    for await (const message of this.messages()) first ??= message
    if (first === undefined) throw notSpoken(this.#context.server, 'gRPC', 'an answer without a message')
    return first
  }

  /** To be read once. Left before its end, the call is cancelled. */
  messages(): AsyncGenerator<Uint8Array>
  /** Large messages that `divide` knows come in parts, as they arrive, each as what `divide` makes of it. */
  messages(divide: Divide): AsyncGenerator<Uint8Array | MessagePart>
  async *messages(divide: Divide = () => undefined): AsyncGenerator<Uint8Array | MessagePart> {
    const ready: (Uint8Array | MessagePart)[] = []
    const take = (message: ReceivedMessage | MessagePart) => {
      if (message instanceof MessagePart) ready.push(message)
      else if (message.isCompressed) throw notSpoken(this.#context.server, 'gRPC', 'a compressed answer, unasked')
      else ready.push(message.bytes)
    }
    const parser = new MessageParser(MOST_MESSAGE_BYTES, take, divide)
    let isComplete = false
    try {
      const chunks = this.#stream[Symbol.asyncIterator]()
      for (;;) {
        this.#waiting.begin()
        const { done, value } = await chunks.next()
        this.#waiting.pause()
        if (done === true) break
        this.#context.received(value.length)
        this.#refuseOther()
        parser.push(value)
        for (let next = ready.shift(); next !== undefined; next = ready.shift()) yield next
      }
      await this.#closed()
      isComplete = this.#stream.writableEnded
    } catch (error) {
      throw this.#explained(error)
    } finally {
      if (!isComplete) this.cancel()
      else this.#waiting.end()
    }
    this.#refuseFailure(parser.isWithinMessage)
  }

  get #takesMore(): boolean {
    const { destroyed, closed, writableEnded } = this.#stream
    return !destroyed && !closed && !writableEnded
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#stream.once('drain', resolve).once('close', resolve)
    this.#waiting.begin()
    await promise
    this.#waiting.pause()
    this.#stream.off('drain', resolve).off('close', resolve)
  }

  /** The trailers may be told of after the last bytes. */
  async #closed(): Promise<void> {
    if (this.#headers['grpc-status'] !== undefined || this.#stream.destroyed) return
    this.#waiting.begin()
    await new Promise((resolve) => this.#stream.once('close', resolve))
    this.#waiting.end()
  }

  /** A proxy's page, a redirect, a login: no more of it is read. */
  #refuseOther(): void {
    const { ':status': status, 'content-type': type = 'nothing' } = this.#headers
    if (status !== 200 || !type.startsWith('application/grpc'))
      throw notSpoken(this.#context.server, 'gRPC', `HTTP ${status} with ${type}`)
  }

  #refuseFailure(isCutOff: boolean): void {
    const { 'grpc-status': status, 'grpc-message': message } = this.#headers
    if (status === undefined) throw this.#explained(this.#fault ?? new Error('the answer was cut off'))
    if (status !== '0') throw new GrpcStatus(codeOf(Number(status)), textOf(message))
    if (isCutOff) throw this.#explained(new Error('the answer was cut off'))
  }

  #explained(error: unknown): unknown {
    const { server, signal, connectionError } = this.#context
    if (signal?.aborted) return signal.reason
    if (error instanceof GrpcStatus) return notSpoken(server, 'gRPC', error.message)
    const { ':status': status = 200, 'grpc-status': grpcStatus } = this.#headers
    if (status !== 200 && grpcStatus === undefined) return notSpoken(server, 'gRPC', `HTTP ${status}`)
    return connectionFault(server, 'gRPC', connectionError() ?? this.#fault ?? error)
  }
}

function codeOf(status: number): GrpcCode {
  return Object.values(GrpcCode).find((code) => code === status) ?? GrpcCode.UNKNOWN
}

function textOf(message: unknown): string {
  try {
    return decodeURIComponent(String(message ?? ''))
  } catch {
    return String(message)
  }
}
