import type { ServerHttp2Stream } from 'node:http2'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { type Divide, MessageParser, MessagePart, type ReceivedMessage } from '../../grpc/message-parser.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'

const unzipped = promisify(gunzip)

export interface RequestLimits {
  /** The largest message, uncompressed. */
  readonly mostMessageBytes: number
  readonly encoding: 'identity' | 'gzip'
  /** Where given, large messages are handed out in parts. */
  readonly divide?: Divide | undefined
}

/** Waits to be taken at most: what one read of a socket brings, in parts. */
const MOST_READY = 8

/** The messages of a call, read from its stream only as fast as they are taken: one ahead of who takes them. */
export class RequestReader {
  receivedBytes = 0
  readonly #stream: ServerHttp2Stream
  readonly #limits: RequestLimits
  readonly #parser: MessageParser
  readonly #ready: (ReceivedMessage | MessagePart)[] = []
  #mostReady = Number.POSITIVE_INFINITY
  #state: 'reading' | 'ended' | 'discarding' = 'reading'
  #failure: GrpcStatus | undefined
  #wake: (() => void) | undefined
  #mayDiscard = 0

  constructor(stream: ServerHttp2Stream, limits: RequestLimits) {
    this.#stream = stream
    this.#limits = limits
    const onMessage = (message: ReceivedMessage | MessagePart) => void this.#ready.push(message)
    const { mostMessageBytes, divide = () => undefined } = limits
    this.#parser = new MessageParser(mostMessageBytes, onMessage, divide)
    stream.on('data', (chunk: Uint8Array) => this.#take(chunk))
    stream.on('end', () => this.#end())
  }

  /** The next message; undefined at their end. Throws GrpcStatus when what comes is no such thing, or the client has gone. */
  async next(): Promise<Uint8Array | MessagePart | undefined> {
    while (this.#ready.length === 0 && this.#failure === undefined && this.#state === 'reading') {
      this.#stream.resume()
      await this.#more()
    }
    const message = this.#ready.shift()
    if (message !== undefined) {
      if (this.#ready.length === 0 && this.#state === 'reading') this.#stream.resume()
      if (message instanceof MessagePart) return message
      return message.isCompressed ? this.#uncompressed(message.bytes) : message.bytes
    }
    if (this.#failure !== undefined) throw this.#failure
    return undefined
  }

  /**
   * Of a method that takes one message: it, once the stream has ended. Throws GrpcStatus where there are none or several.
   * What is small is here already when it is asked for, so the stream is never held up: that costs more than the call.
   */
  async only(): Promise<Uint8Array> {
    this.#mostReady = 1
    while (this.#state === 'reading' && this.#failure === undefined) await this.#more()
    if (this.#failure !== undefined) throw this.#failure
    const message = this.#ready[0] as ReceivedMessage | undefined
    if (message === undefined) throw new GrpcStatus(GrpcCode.UNIMPLEMENTED, 'The method takes a message; none came.')
    return message.isCompressed ? this.#uncompressed(message.bytes) : message.bytes
  }

  /**
   * Nobody waits for the answer any more: whoever takes messages is told why, and never of a clean end. Some clients break
   * off by ending the stream and resetting it at once.
   */
  fail(why: GrpcStatus): void {
    this.#failure ??= why
    this.#awaken()
  }

  /** Throws away what still comes, and after `mostBytes` of it leaves the client to wait. False: all has come. */
  discard(mostBytes: number): boolean {
    if (this.#state === 'ended') return false
    this.#state = 'discarding'
    this.#ready.length = 0
    this.#mayDiscard = mostBytes
    this.#awaken()
    this.#stream.resume()
    return true
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #take(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length
    if (this.#state === 'discarding') {
      this.#mayDiscard -= chunk.length
      if (this.#mayDiscard < 0) this.#stream.pause()
      return
    }
    try {
      this.#parser.push(chunk)
      if (this.#ready.length > this.#mostReady)
        throw new GrpcStatus(GrpcCode.UNIMPLEMENTED, 'The method takes one message; several came.')
    } catch (error) {
      this.#failure ??= error as GrpcStatus
    }
    if (this.#failure !== undefined || (this.#mostReady !== 1 && this.#isFull)) this.#stream.pause()
    else if (this.#mostReady === 1 || this.#ready.length === 0) return
    this.#awaken()
  }

  /** A whole message is enough; the parts of one are small. */
  get #isFull(): boolean {
    return this.#ready.length >= MOST_READY || (this.#ready.length > 0 && !(this.#ready[0] instanceof MessagePart))
  }

  #end(): void {
    // A connection that breaks ends its streams, too; that it broke is told at their close.
    if (this.#stream.aborted) return
    if (this.#state === 'reading' && this.#parser.isWithinMessage)
      this.#failure ??= new GrpcStatus(GrpcCode.INTERNAL, 'The last message is cut off.')
    this.#state = 'ended'
    this.#awaken()
  }

  #awaken(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  async #uncompressed(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#limits.encoding === 'identity')
      throw new GrpcStatus(GrpcCode.INTERNAL, 'A message is compressed, and grpc-encoding does not say how.')
    try {
      return await unzipped(bytes, { maxOutputLength: this.#limits.mostMessageBytes })
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      throw isTooLarge
        ? new GrpcStatus(
            GrpcCode.RESOURCE_EXHAUSTED,
            `A message is larger than ${this.#limits.mostMessageBytes} bytes when it is uncompressed.`,
          )
        : new GrpcStatus(GrpcCode.INTERNAL, 'A message is not in the encoding that grpc-encoding names.')
    }
  }
}
