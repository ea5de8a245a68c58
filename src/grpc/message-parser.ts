import { GrpcCode, GrpcStatus } from './status.ts'

/** A message as it came: its bytes are a view of what was received where it lay in one piece. */
export interface ReceivedMessage {
  readonly isCompressed: boolean
  readonly bytes: Uint8Array
}

/** A message that ends in a field of bytes, of which only the beginning has come. */
export interface Divided {
  /** Where in the message those bytes begin; they go to its end. */
  readonly dataAt: number
  /** The message of its own that stands for a part of them: those at `offset`. */
  part(data: Uint8Array, offset: number, isLast: boolean): unknown
}

/** Undefined where a message that begins with `start` can only be read whole. */
export type Divide = (start: Uint8Array, messageBytes: number) => Divided | undefined

/** A message that stands for a part of a large one, read already. */
export class MessagePart {
  readonly message: unknown

  constructor(message: unknown) {
    this.message = message
  }
}

const PREFIX_BYTES = 5
/** Memory for a message is taken as its bytes come: what a prefix announces need never follow. */
const FIRST_BYTES = 256 * 1024

/**
 * Cuts a stream of bytes into gRPC's length-prefixed messages, whatever the borders of its frames
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Holds no more than one message that is not complete, and
 * nothing of one that can be divided.
 */
export class MessageParser {
  readonly #mostBytes: number
  readonly #onMessage: (message: ReceivedMessage | MessagePart) => void
  readonly #divide: Divide
  #divided: Divided | undefined
  #prefix: Uint8Array | undefined
  #prefixBytes = 0
  #body: Uint8Array | undefined
  #bodyBytes = 0

  /** A message of more than `mostBytes` is refused as soon as its length is known. */
  constructor(mostBytes: number, onMessage: (message: ReceivedMessage) => void)
  /** Large messages for which `divide` says how are told of in parts, as they come. */
  constructor(mostBytes: number, onMessage: (message: ReceivedMessage | MessagePart) => void, divide: Divide)
  constructor(mostBytes: number, onMessage: (message: never) => void, divide: Divide = () => undefined) {
    this.#mostBytes = mostBytes
    this.#onMessage = onMessage as (message: ReceivedMessage | MessagePart) => void
    this.#divide = divide
  }

  /** Bytes came after the last whole message. */
  get isWithinMessage(): boolean {
    return this.#prefixBytes > 0
  }

  /** Tells of each message that is complete with `chunk`. Throws GrpcStatus at what can be none, or is too large. */
  push(chunk: Uint8Array): void {
    let at = this.#prefixBytes === 0 ? 0 : this.#complete(chunk)
    while (chunk.length - at >= PREFIX_BYTES) {
      const end = at + PREFIX_BYTES + lengthIn(chunk, at, this.#mostBytes)
      if (end > chunk.length) break
      this.#onMessage({ isCompressed: chunk[at] === 1, bytes: chunk.subarray(at + PREFIX_BYTES, end) })
      at = end
    }
    if (at < chunk.length) this.#begin(chunk.subarray(at))
  }

  #begin(chunk: Uint8Array): void {
    this.#prefix ??= new Uint8Array(PREFIX_BYTES)
    this.#complete(chunk)
  }

  /** Takes what the message that is begun still lacks; says how much of `chunk` that was. */
  #complete(chunk: Uint8Array): number {
    const prefix = this.#prefix as Uint8Array
    let at = 0
    while (this.#prefixBytes < PREFIX_BYTES && at < chunk.length) prefix[this.#prefixBytes++] = chunk[at++] as number
    if (this.#prefixBytes < PREFIX_BYTES) return at
    const length = lengthIn(prefix, 0, this.#mostBytes)
    const piece = chunk.subarray(at, at + length - this.#bodyBytes)
    // Whether it is to be divided shows only with its first bytes.
    if (piece.length === 0 && length > 0) return at
    if (this.#bodyBytes === 0 && piece.length > 0 && prefix[0] === 0) this.#divided = this.#divide(piece, length)
    if (this.#divided !== undefined) return at + this.#handOut(piece, this.#divided, length)
    const body = this.#roomFor(this.#bodyBytes + piece.length, length)
    body.set(piece, this.#bodyBytes)
    this.#bodyBytes += piece.length
    if (this.#bodyBytes === length) {
      this.#prefixBytes = this.#bodyBytes = 0
      this.#body = undefined
      this.#onMessage({ isCompressed: prefix[0] === 1, bytes: body })
    }
    return at + piece.length
  }

  #handOut(piece: Uint8Array, divided: Divided, length: number): number {
    const isFirst = this.#bodyBytes === 0
    const offset = isFirst ? 0 : this.#bodyBytes - divided.dataAt
    const data = isFirst ? piece.subarray(divided.dataAt) : piece
    this.#bodyBytes += piece.length
    const isLast = this.#bodyBytes === length
    if (isLast) {
      this.#prefixBytes = this.#bodyBytes = 0
      this.#divided = undefined
    }
    if (data.length > 0 || isLast) this.#onMessage(new MessagePart(divided.part(data, offset, isLast)))
    return piece.length
  }

  /** Of `length` bytes once all are there: each time at least twice as many, so that few are moved. */
  #roomFor(bytes: number, length: number): Uint8Array {
    const before = this.#body
    if (before !== undefined && before.length >= bytes) return before
    const body = Buffer.allocUnsafeSlow(Math.min(length, Math.max(FIRST_BYTES, bytes, 2 * (before?.length ?? 0))))
    if (before !== undefined) body.set(before)
    this.#body = body
    return body
  }
}

function lengthIn(bytes: Uint8Array, at: number, mostBytes: number): number {
  const flag = bytes[at] as number
  if (flag > 1) throw new GrpcStatus(GrpcCode.INTERNAL, `A message begins with the flag ${flag}.`)
  const [b0, b1, b2, b3] = [bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]] as [
    number,
    number,
    number,
    number,
  ]
  const length = ((b0 << 24) | (b1 << 16) | (b2 << 8) | b3) >>> 0
  if (length > mostBytes)
    throw new GrpcStatus(GrpcCode.RESOURCE_EXHAUSTED, `A message of ${length} bytes; ${mostBytes} are the most.`)
  return length
}
