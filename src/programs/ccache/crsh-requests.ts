import { endianness } from 'node:os'

/** A request of ccache's remote storage helper protocol, version 1. */
export type CrshRequest =
  | CrshKeyed<'get'>
  | CrshKeyed<'remove'>
  | CrshKeyed<'exists'>
  | CrshPut
  | { readonly kind: 'stop' }
  | { readonly kind: 'info' }
  | { readonly kind: 'unknown'; readonly code: number }

export interface CrshKeyed<Kind> {
  readonly kind: Kind
  /** Raw bytes. */
  readonly key: Buffer
}

export interface CrshPut {
  readonly kind: 'put'
  readonly key: Buffer
  readonly overwrite: boolean
  readonly sizeBytes: number
  /** To be read to its end, or left: what is left is skipped. Fails where the client goes away before. */
  readonly value: AsyncIterable<Uint8Array>
}

export const PROTOCOL_VERSION = 1
/** `get`, `put` and `remove`; `info`; `exists`. */
export const CAPABILITIES = [0x00, 0x01, 0x02] as const
export const OK = 0x00
export const NOOP = 0x01
export const ERROR = 0x02

const KINDS = ['get', 'put', 'remove', 'stop', 'info', 'exists'] as const
const OVERWRITE = 0x01
const isLittle = endianness() === 'LE'

/** The requests of one connection, each after the one before has been answered. Ends where the client does. */
export async function* crshRequests(source: AsyncIterable<Buffer>): AsyncGenerator<CrshRequest> {
  const bytes = new PulledBytes(source)
  while (await bytes.hasMore()) {
    const code = await bytes.byte()
    const kind = KINDS[code]
    if (kind === 'put') {
      const put = await putIn(bytes)
      yield put
      for await (const _rest of put.value);
    } else if (kind === 'stop' || kind === 'info') yield { kind }
    else if (kind === undefined) {
      yield { kind: 'unknown', code }
      // How long it is cannot be known, so neither where the next one begins.
      return
    } else yield { kind, key: await bytes.take(await bytes.byte()) }
  }
}

/** As a value is announced: host byte order. */
export function encodedSize(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(8)
  if (isLittle) bytes.writeBigUInt64LE(BigInt(sizeBytes))
  else bytes.writeBigUInt64BE(BigInt(sizeBytes))
  return bytes
}

/** At most 255 bytes of UTF-8, cut between two characters. */
export function encodedMessage(text: string): Buffer {
  let bytes = Buffer.from(text)
  for (let length = text.length; bytes.length > 255; length--) bytes = Buffer.from(text.slice(0, length))
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

async function putIn(bytes: PulledBytes): Promise<CrshPut> {
  const key = await bytes.take(await bytes.byte())
  const flags = await bytes.byte()
  const size = await bytes.take(8)
  const sizeBytes = Number(isLittle ? size.readBigUInt64LE() : size.readBigUInt64BE())
  let rest = sizeBytes
  const value = {
    async *[Symbol.asyncIterator]() {
      while (rest > 0) {
        const piece = await bytes.some(rest)
        rest -= piece.length
        yield piece
      }
    },
  }
  return { kind: 'put', key, overwrite: (flags & OVERWRITE) !== 0, sizeBytes, value }
}

/** Bytes by the number instead of by the chunk. */
class PulledBytes {
  readonly #chunks: AsyncIterator<Buffer>
  #chunk: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]()
  }

  async hasMore(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next()
      if (next.done === true) return false
      this.#chunk = next.value
    }
    return true
  }

  /** At least one byte, at most `most`. Throws at the end. */
  async some(most: number): Promise<Buffer> {
    if (!(await this.hasMore())) throw new Error('ccache went away in the middle of a request')
    const piece = this.#chunk.subarray(0, most)
    this.#chunk = this.#chunk.subarray(piece.length)
    return piece
  }

  async byte(): Promise<number> {
    return (await this.some(1))[0] as number
  }

  /** Few. */
  async take(length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let rest = length; rest > 0; ) {
      const piece = await this.some(rest)
      pieces.push(piece)
      rest -= piece.length
    }
    return Buffer.concat(pieces)
  }
}
