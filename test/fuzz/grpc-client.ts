import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2'
import { type Door, http2Session } from './door.ts'

export interface Call {
  readonly path: string
  /** All that goes over the stream, framed already. */
  readonly body: Uint8Array
  readonly headers?: Readonly<Record<string, string>>
  /** `reset`: broken off after the body, `before`: before it. */
  readonly end?: 'ended' | 'reset' | 'before'
  /** Where the body is cut into pieces. */
  readonly cuts?: readonly number[]
}

export interface Outcome {
  /** Undefined: the stream ended without one. */
  readonly code: number | undefined
  readonly message: string
  /** Of HTTP. */
  readonly status: number | undefined
  /** What was answered, in gRPC's frames. */
  readonly body: Buffer
}

export function framed(message: Uint8Array, flag = 0, length: number = message.length): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, message])
}

/** The messages of an answer. */
export function messagesIn(body: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at + 5 <= body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1)
    messages.push(body.subarray(at + 5, end))
    at = end
  }
  return messages
}

/** Many streams over one connection, opened anew when it was closed. */
export class GrpcClient implements Disposable {
  readonly #door: Door
  readonly #headers: Readonly<Record<string, string>>
  #session: ClientHttp2Session | undefined

  constructor(door: Door, headers: Readonly<Record<string, string>> = {}) {
    this.#door = door
    this.#headers = headers
  }

  call({ path, body, headers = {}, end = 'ended', cuts = [] }: Call): Promise<Outcome> {
    if (this.#session === undefined || this.#session.destroyed || this.#session.closed)
      this.#session = http2Session(this.#door)
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...this.#headers,
      ...headers,
    })
    const pieces: Buffer[] = []
    let [code, message, status]: [number | undefined, string, number | undefined] = [undefined, '', undefined]
    const note = (said: IncomingHttpHeaders) => {
      if (said[':status'] !== undefined) status = Number(said[':status'])
      if (said['grpc-status'] !== undefined) code = Number(said['grpc-status'])
      message = String(said['grpc-message'] ?? message)
    }
    stream.on('response', note).on('trailers', note)
    stream.on('data', (bytes: Buffer) => pieces.push(bytes))
    stream.on('error', () => undefined)
    const outcome = new Promise<Outcome>((resolve) => {
      stream.once('close', () => resolve({ code, message, status, body: Buffer.concat(pieces) }))
      stream.once('end', () => {
        if (!stream.writableEnded) stream.close()
      })
    })
    if (end === 'before') {
      stream.close(8)
      return outcome
    }
    let at = 0
    for (const cut of cuts) {
      if (cut > at && cut < body.length) stream.write(body.subarray(at, cut))
      at = Math.max(at, Math.min(cut, body.length))
    }
    if (end === 'ended') stream.end(body.subarray(at))
    else stream.write(body.subarray(at), () => stream.close(8))
    return outcome
  }

  [Symbol.dispose](): void {
    this.#session?.destroy()
  }
}
