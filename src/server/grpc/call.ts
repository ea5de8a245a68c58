import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { boundedReader } from '../../grpc/bounded-reader.ts'
import { MessagePart } from '../../grpc/message-parser.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { Access } from '../access.ts'
import { statusOf } from './fault-status.ts'
import { encodingOf, timeoutMsOf } from './metadata.ts'
import { ReplyWriter } from './reply-writer.ts'
import { RequestReader } from './request-reader.ts'
import { EncodedMessage, type GrpcCall, type GrpcMethod } from './service.ts'
import { STREAM_WINDOW_BYTES } from './session-options.ts'

/** REAPI's batches hold 4 MiB of blobs; their digests and the rest need some more. */
const MOST_MESSAGE_BYTES = 4 * 1024 * 1024 + 512 * 1024
/**
 * What a client has sent before it sees an early answer is at most its window; most then stop. Who goes on is left to wait, and told
 * some time later to stop, without blame. Not at once: a reset overtakes the answer in Node, and grpc-go then takes it for a failure.
 */
const MOST_DISCARDED_BYTES = STREAM_WINDOW_BYTES + 64 * 1024
const DISCARD_MS = 5_000

/** What came of a call, once its stream is closed. */
export interface CallOutcome {
  readonly status: GrpcCode
  readonly instance: string
  readonly receivedBytes: number
  readonly sentBytes: number
}

export interface CallListener {
  readonly onClose: (outcome: CallOutcome) => void
  readonly onFault: (error: unknown) => void
}

/** One stream: reads its requests, has the handler answer them, and ends it with a status, whatever happens. */
export class Call implements GrpcCall {
  readonly headers: IncomingHttpHeaders
  readonly access: Access
  readonly #stream: ServerHttp2Stream
  readonly #listener: CallListener
  readonly #writer: ReplyWriter
  #reader: RequestReader | undefined
  #gone: AbortController | undefined
  #goneBecause: GrpcStatus | undefined
  #deadline: NodeJS.Timeout | undefined
  /** Set before the answer is written: Bun tells of the end of a stream from within that. */
  #status: GrpcCode | undefined
  #instance = ''

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, access: Access, listener: CallListener) {
    this.headers = headers
    this.access = access
    this.#stream = stream
    this.#listener = listener
    this.#writer = new ReplyWriter(stream)
    stream.on('error', () => undefined)
    // A stream with bytes that nobody reads may be reset long before it is closed.
    stream.once('aborted', () => this.#leave())
    stream.once('close', () => this.#close())
  }

  /** Made when it is first asked for: most calls are answered before anybody does. */
  get signal(): AbortSignal {
    this.#gone ??= new AbortController()
    if (this.#goneBecause !== undefined) this.#gone.abort(this.#goneBecause)
    return this.#gone.signal
  }

  refuse(status: GrpcStatus): void {
    this.#end(status)
  }

  /** What came is no gRPC: whoever sent it is told in the words of HTTP. */
  refuseAsHttp(status: number): void {
    this.#status = GrpcCode.UNKNOWN
    this.#writer.endAsHttp(status)
    this.#ended()
  }

  async run({ definition, handler }: GrpcMethod): Promise<void> {
    try {
      const encoding = encodingOf(this.headers)
      this.#reader = new RequestReader(this.#stream, {
        ...{ mostMessageBytes: MOST_MESSAGE_BYTES, encoding },
        ...(definition.requestStream && { divide: definition.requestType.divide }),
      })
      this.#setDeadline(timeoutMsOf(this.headers))
      const request = definition.requestStream ? this.#requests(definition) : await this.#request(definition)
      const answer = handler(request as never, this)
      const given = await answer
      if (definition.responseStream && !(given instanceof EncodedMessage))
        await this.#answerAll(given as AsyncIterable<unknown>, definition)
      else this.#answer(given, definition)
    } catch (error) {
      this.#fail(error)
    }
  }

  async #request(definition: Definition): Promise<unknown> {
    return this.#decoded(definition, await (this.#reader as RequestReader).only())
  }

  async *#requests(definition: Definition): AsyncGenerator<unknown> {
    for (;;) {
      const message = await (this.#reader as RequestReader).next()
      if (message === undefined) return
      yield message instanceof MessagePart ? message.message : this.#decoded(definition, message)
    }
  }

  #decoded({ requestType }: Definition, message: Uint8Array): unknown {
    let request: unknown
    try {
      request = requestType.decode(boundedReader(message))
    } catch (error) {
      if (error instanceof GrpcStatus) throw error
      throw new GrpcStatus(GrpcCode.INTERNAL, 'A message is not of the type that the method takes.')
    }
    if (this.#instance === '') this.#instance = instanceIn(request)
    return request
  }

  #answer(message: unknown, { responseType }: Definition): void {
    if (this.#writer.isEnded) return
    const bytes = encoded(message, responseType)
    this.#status = GrpcCode.OK
    this.#writer.only(bytes)
    this.#ended()
  }

  async #answerAll(messages: AsyncIterable<unknown>, { responseType }: Definition): Promise<void> {
    for await (const message of messages) {
      await this.#writer.write(encoded(message, responseType))
      if (this.#writer.isEnded) return
    }
    this.#end(OK)
  }

  #fail(error: unknown): void {
    if (this.#writer.isEnded) return
    const status = statusOf(error)
    if (status !== error) this.#listener.onFault(error)
    this.#end(status)
  }

  #end(status: GrpcStatus): void {
    if (this.#writer.isEnded) return
    this.#status = status.code
    this.#writer.end(status)
    this.#ended()
  }

  /** The answer is given; what the client still sends is nobody's. */
  #ended(): void {
    clearTimeout(this.#deadline)
    this.#reader ??= new RequestReader(this.#stream, { mostMessageBytes: 0, encoding: 'identity' })
    if (this.#reader.discard(MOST_DISCARDED_BYTES)) this.#letGoLater()
  }

  #letGoLater(): void {
    this.#deadline = setTimeout(() => {
      if (this.#writer.isSent) this.#stream.close(constants.NGHTTP2_NO_ERROR)
      else this.#letGoLater()
    }, DISCARD_MS).unref()
  }

  #setDeadline(timeoutMs: number | undefined): void {
    if (timeoutMs === undefined) return
    this.#deadline = setTimeout(() => {
      const status = new GrpcStatus(GrpcCode.DEADLINE_EXCEEDED, 'The deadline has passed.')
      this.#reader?.fail(status)
      this.#abort(status)
      this.#end(status)
    }, timeoutMs).unref()
  }

  #leave(): void {
    if (this.#status !== undefined) return
    this.#status = GrpcCode.CANCELLED
    const gone = new GrpcStatus(GrpcCode.CANCELLED, 'The client has gone.')
    this.#reader?.fail(gone)
    // Node closes a stream only when all that came on it has been read.
    this.#reader?.discard(Number.POSITIVE_INFINITY)
    this.#abort(gone)
  }

  #close(): void {
    clearTimeout(this.#deadline)
    this.#leave()
    this.#listener.onClose({
      status: this.#status ?? GrpcCode.CANCELLED,
      instance: this.#instance,
      receivedBytes: this.#reader?.receivedBytes ?? 0,
      sentBytes: this.#writer.sentBytes,
    })
  }

  #abort(why: GrpcStatus): void {
    this.#goneBecause ??= why
    this.#gone?.abort(why)
  }
}

type Definition = GrpcMethod['definition']

const OK = new GrpcStatus(GrpcCode.OK, '')

function encoded(message: unknown, { encode }: Definition['responseType']): EncodedMessage | Uint8Array {
  return message instanceof EncodedMessage ? message : encode(message as never).finish()
}

function instanceIn(request: unknown): string {
  const { instanceName } = request as { readonly instanceName?: unknown }
  return typeof instanceName === 'string' ? instanceName : ''
}
