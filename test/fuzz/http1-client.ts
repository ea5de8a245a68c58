import type { Socket } from 'node:net'
import { type Door, opened } from './door.ts'

/** Texts go out as Latin-1, so that any byte can stand in them. */
export interface Asked {
  readonly method: string
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Asks what no client of a library would let pass, over one connection that is opened anew when the server has closed it. */
export class Http1Client implements Disposable {
  readonly #door: Door
  #socket: Socket | undefined
  #answers: AnswerReader | undefined

  constructor(door: Door) {
    this.#door = door
  }

  /** Undefined: the connection was closed without an answer. */
  async ask(asked: Asked): Promise<Answered | undefined> {
    const isOld = this.#socket !== undefined && !this.#socket.destroyed && this.#socket.readable
    const answered = await this.#askOnce(asked)
    // Closed while it was idle: that is no answer to what was asked.
    return answered === undefined && isOld ? this.#askOnce(asked) : answered
  }

  async #askOnce(asked: Asked): Promise<Answered | undefined> {
    if (this.#socket === undefined || this.#socket.destroyed || !this.#socket.readable) {
      this.#socket = await opened(this.#door)
      this.#answers = new AnswerReader(this.#socket)
    }
    this.#socket.write(requestBytes(asked))
    const answered = await (this.#answers as AnswerReader).next(asked.method === 'HEAD')
    if (answered === undefined || answered.headers.connection === 'close') this[Symbol.dispose]()
    return answered
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }
}

export function requestBytes({ method, target, headers = {}, body }: Asked): Buffer {
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  if (body !== undefined) lines.push(`content-length: ${body.length}\r\n`)
  const head = Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
  return body === undefined ? head : Buffer.concat([head, body])
}

/** Cuts what a server says on a connection into its answers. */
export class AnswerReader {
  #bytes: Buffer = Buffer.alloc(0)
  #isOver = false
  #heard: () => void = () => undefined

  constructor(socket: Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
      this.#heard()
    })
    const over = () => {
      this.#isOver = true
      this.#heard()
    }
    socket.once('close', over).once('end', over).once('error', over)
    this.#isOver = socket.destroyed
  }

  get rest(): Buffer {
    return this.#bytes
  }

  /** Undefined: the connection ended before one was there. Throws at what is no answer. */
  async next(isHead = false): Promise<Answered | undefined> {
    for (;;) {
      const answered = this.#cut(isHead)
      if (answered !== undefined && answered.status >= 200) return answered
      if (answered !== undefined) continue
      if (this.#isOver) return undefined
      await new Promise<void>((resolve) => {
        this.#heard = resolve
      })
    }
  }

  #cut(isHead: boolean): Answered | undefined {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end === -1) return undefined
    const [first = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n')
    const [, digits] = /^HTTP\/1\.1 (\d{3})( |$)/.exec(first) ?? []
    if (digits === undefined) throw new Error(`no answer of HTTP/1.1: ${JSON.stringify(first.slice(0, 200))}`)
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    const status = Number(digits)
    // A runtime's own refusal, before it asks us.
    if (headers['transfer-encoding'] === 'chunked' && status >= 400)
      return this.#cutEmptyChunks(end + 4, { status, headers })
    const isBare = isHead || status < 200 || status === 204 || status === 304
    if (!isBare && headers['content-length'] === undefined)
      throw new Error(`an answer without a length: ${first} ${JSON.stringify(headers)}`)
    const length = isBare ? 0 : Number(headers['content-length'])
    if (this.#bytes.length < end + 4 + length) return undefined
    const body = this.#bytes.subarray(end + 4, end + 4 + length)
    this.#bytes = this.#bytes.subarray(end + 4 + length)
    return { status, headers, body }
  }

  #cutEmptyChunks(start: number, head: Omit<Answered, 'body'>): Answered | undefined {
    const end = this.#bytes.indexOf('0\r\n\r\n', start)
    if (end === -1) return undefined
    this.#bytes = this.#bytes.subarray(end + 5)
    return { ...head, body: Buffer.alloc(0) }
  }
}
