/** An error that Redis answered with: `code` is its first word, `text` all of it. */
export interface ReplyError {
  readonly code: string
  readonly text: string
}

/** What one command is answered with. Undefined: there is no such value. Lists are asked for by nobody here. */
export type Reply = string | number | Uint8Array | ReplyError | undefined

export type Argument = string | number | Uint8Array

const CR = 13
const CRLF = Buffer.from('\r\n')
/** Errors and states are short. */
const MOST_LINE_BYTES = 8 << 10

/** A command as RESP2 has it: its bytes are copied, so that the caller's may change. */
export function encodedCommand(args: readonly Argument[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) {
    const bytes = typeof arg === 'object' ? arg : Buffer.from(String(arg))
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF)
  }
  return Buffer.concat(parts)
}

export function isReplyError(reply: Reply): reply is ReplyError {
  return typeof reply === 'object' && 'code' in reply
}

/**
 * Replies out of pieces of a stream (RESP2, as Redis has spoken since 2.0 and Valkey does). Holds one value at most, of
 * `mostValueBytes`. Throws `NotRedis` for what is no reply, or more than that.
 */
export class ReplyParser {
  readonly #mostValueBytes: number
  #line = ''
  /** The value that is coming, and the two bytes behind it. */
  #value: Buffer | undefined
  #filled = 0

  constructor(mostValueBytes: number) {
    this.#mostValueBytes = mostValueBytes
  }

  *replies(piece: Uint8Array): Generator<Reply> {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    for (let at = 0; at < bytes.length; ) {
      if (this.#value !== undefined) {
        const taken = bytes.copy(this.#value, this.#filled, at)
        this.#filled += taken
        at += taken
        if (this.#filled === this.#value.length) yield this.#whole(this.#value)
        continue
      }
      const end = bytes.indexOf('\n', at)
      const upTo = end === -1 ? bytes.length : end + 1
      this.#line += bytes.toString('latin1', at, upTo)
      at = upTo
      if (this.#line.length > MOST_LINE_BYTES || !MARKS.includes(this.#line[0] ?? '')) throw new NotRedis(this.#line)
      if (end === -1) return
      const line = this.#line
      this.#line = ''
      const reply = this.#begun(line)
      if (reply !== COMING) yield reply
    }
  }

  #begun(line: string): Reply | typeof COMING {
    if (line.at(-2) !== '\r') throw new NotRedis(line)
    const text = line.slice(1, -2)
    if (line[0] === '+') return text
    if (line[0] === '-') return { code: /^\S*/.exec(text)?.[0] ?? '', text: Buffer.from(text, 'latin1').toString() }
    const number = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (Number.isNaN(number)) throw new NotRedis(line)
    if (line[0] === ':') return number
    if (number === -1) return undefined
    if (number < 0 || number > this.#mostValueBytes) throw new NotRedis(`a value of ${number} bytes`)
    this.#value = Buffer.allocUnsafeSlow(number + 2)
    this.#filled = 0
    return COMING
  }

  #whole(value: Buffer): Uint8Array {
    this.#value = undefined
    if (value[value.length - 2] !== CR) throw new NotRedis('a value longer than it said')
    return value.subarray(0, -2)
  }
}

const MARKS = ['+', '-', ':', '$']
const COMING = Symbol('a value is coming')

/** What came is nothing that Redis says. */
export class NotRedis extends Error {
  constructor(what: string) {
    super(
      what
        .replace(/[^\x20-\x7e]+/g, ' ')
        .trim()
        .slice(0, 60),
    )
  }
}
