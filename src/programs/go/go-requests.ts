import { CacheError } from '../../errors.ts'

/** What the go command asks. IDs of actions and outputs are in lower-case hex. */
export type GoRequest =
  | { readonly command: 'get'; readonly id: number; readonly action: string }
  | GoPut
  | { readonly command: 'close'; readonly id: number }
  | { readonly command: 'unknown'; readonly id: number; readonly name: string }

export interface GoPut {
  readonly command: 'put'
  readonly id: number
  readonly action: string
  readonly output: string
  readonly sizeBytes: number
}

/** Takes what is read, in order. A `put` is told of first, then its bytes piece by piece, then that it has ended. */
export interface GoRequestSink {
  request(request: Exclude<GoRequest, GoPut>): void
  beginPut(put: GoPut): void
  body(bytes: Uint8Array): void
  endPut(put: GoPut): void
}

/** The longest message has two names of 32 bytes. */
const MOST_LINE = 64 * 1024
const QUOTE = 0x22
const LINE_END = 0x0a

/**
 * Reads GOCACHEPROG's protocol (Go's `cmd/go/internal/cacheprog`): a JSON object a line, and after a `put` its body as a JSON
 * string of base64, which may be many megabytes and is handed on as it comes. Memory does not grow with it.
 */
export class GoRequestReader {
  readonly #sink: GoRequestSink
  #line = ''
  #state: { kind: 'line' } | { kind: 'before-body' | 'in-body'; put: GoPut } = { kind: 'line' }
  /** Of base64, up to three characters that wait for their fourth. */
  #carried = ''

  constructor(sink: GoRequestSink) {
    this.#sink = sink
  }

  /** Throws `usage` for what no go command writes. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) at = this.#take(chunk, at)
  }

  #take(chunk: Buffer, at: number): number {
    if (this.#state.kind === 'line') return this.#takeLine(chunk, at)
    if (this.#state.kind === 'in-body') return this.#takeBody(chunk, at, this.#state.put)
    const byte = chunk[at] as number
    if (byte === QUOTE) this.#state = { kind: 'in-body', put: this.#state.put }
    else if (!isSpace(byte)) throw misread('a body was expected')
    return at + 1
  }

  #takeLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LINE_END, at)
    const stop = end < 0 ? chunk.length : end
    this.#line += chunk.toString('latin1', at, stop)
    if (this.#line.length > MOST_LINE) throw misread('a line is too long')
    if (end < 0) return stop
    const line = this.#line.trim()
    this.#line = ''
    if (line !== '') this.#message(line)
    return end + 1
  }

  #takeBody(chunk: Buffer, at: number, put: GoPut): number {
    const end = chunk.indexOf(QUOTE, at)
    const stop = end < 0 ? chunk.length : end
    const text = this.#carried + chunk.toString('latin1', at, stop)
    const whole = end < 0 ? text.length - (text.length % 4) : text.length
    this.#carried = text.slice(whole)
    if (whole > 0) this.#sink.body(Buffer.from(text.slice(0, whole), 'base64'))
    if (end < 0) return stop
    this.#state = { kind: 'line' }
    this.#sink.endPut(put)
    return end + 1
  }

  #message(line: string): void {
    const request = requestIn(line)
    if (request.command !== 'put') {
      this.#sink.request(request)
      return
    }
    this.#sink.beginPut(request)
    if (request.sizeBytes > 0) this.#state = { kind: 'before-body', put: request }
    else this.#sink.endPut(request)
  }
}

function requestIn(line: string): GoRequest {
  const said = parsed(line)
  const id = said.ID
  if (typeof id !== 'number') throw misread('a message has no ID')
  const action = hexOf(said.ActionID)
  if (said.Command === 'close') return { command: 'close', id }
  if (said.Command === 'get' && action !== undefined) return { command: 'get', id, action }
  // Go 1.23 and before said ObjectID.
  const output = hexOf(said.OutputID ?? said.ObjectID)
  const sizeBytes = said.BodySize ?? 0
  if (said.Command === 'put' && action !== undefined && output !== undefined && isSize(sizeBytes))
    return { command: 'put', id, action, output, sizeBytes }
  return { command: 'unknown', id, name: String(said.Command) }
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  } catch {
    // Below.
  }
  throw misread('a line is no JSON object')
}

function hexOf(base64: unknown): string | undefined {
  if (typeof base64 !== 'string') return undefined
  const bytes = Buffer.from(base64, 'base64')
  return bytes.length >= 1 && bytes.length <= 64 ? bytes.toString('hex') : undefined
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isSpace(byte: number): boolean {
  return byte === LINE_END || byte === 0x0d || byte === 0x20 || byte === 0x09
}

function misread(what: string): CacheError {
  return new CacheError('usage', `This is not what a go command says: ${what}.`, {
    hint: 'It is started by Go: GOCACHEPROG="recue gocacheprog" go build ./...',
  })
}
