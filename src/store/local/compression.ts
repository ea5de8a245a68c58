import type { Codec } from './segment.ts'

type Zlib = typeof import('node:zlib')
let loaded: Zlib | undefined

/** `node:zlib` takes 1 to 2 ms to load, which a hit that restores nothing need not spend. */
function zlib(): Zlib {
  loaded ??= process.getBuiltinModule('node:zlib')
  return loaded
}

export interface Encoded {
  readonly codec: Codec
  readonly stored: Uint8Array
}

/** Compresses what is worth it, on other threads, so that the caller reads and hashes meanwhile. */
export interface Compression {
  /** The bytes as they are to be stored. `codec` forces one, for the later chunks of a file. */
  encode(bytes: Uint8Array, codec?: Codec): Promise<Encoded>
}

/** A frame must be at least this much smaller, or reading it back costs more than it saves. */
const WORTH_IT = 0.92
/** Less than this is not worth a frame's header and the call. */
const LEAST_BYTES = 128
/** Measured on JavaScript and lockfiles: level 1 keeps up with two hashing cores, 3 saves 8 % more at half the speed. */
const AUTO_LEVEL = 1

export function compressionOf(setting: 'auto' | 'off' | number): Compression {
  return new Zstd(setting === 'off' ? undefined : setting === 'auto' ? AUTO_LEVEL : setting)
}

/** Enough to keep the threads busy while the caller reads and hashes for a millisecond; hundreds at once take memory. */
const AT_ONCE = 16

class Zstd implements Compression {
  readonly #level: number | undefined
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(level: number | undefined) {
    this.#level = level
  }

  async encode(bytes: Uint8Array, codec?: Codec): Promise<Encoded> {
    const isSmall = codec === undefined && bytes.length < LEAST_BYTES
    if (codec === 'raw' || isSmall || (codec === undefined && this.#level === undefined)) return raw(bytes)
    const compressed = await this.#compress(bytes)
    return codec === 'zstd' || compressed.stored.length < bytes.length * WORTH_IT ? compressed : raw(bytes)
  }

  async #compress(bytes: Uint8Array): Promise<Encoded> {
    if (this.#running >= AT_ONCE) await new Promise<void>((wake) => this.#waiting.push(wake))
    else this.#running++
    try {
      return await compress(bytes, this.#level ?? AUTO_LEVEL)
    } finally {
      // Straight to the next one, or a newcomer could overtake.
      const wake = this.#waiting.shift()
      if (wake === undefined) this.#running--
      else wake()
    }
  }
}

/** The content of stored bytes, on another thread; rejects when they are no frame, or not of `contentBytes`. */
export function decode(codec: Codec, stored: Uint8Array, contentBytes: number): Promise<Uint8Array> {
  if (codec === 'raw') return Promise.resolve(checked(stored, contentBytes))
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  zlib().zstdDecompress(stored, decodeOptions(contentBytes), (error, content) => {
    if (error !== null) reject(error)
    else if (content.length !== contentBytes) reject(wrongLength())
    else resolve(content)
  })
  return promise
}

/** The same at once: for a pack that takes less time than another thread takes to be told of it. Throws. */
export function decodeSync(codec: Codec, stored: Uint8Array, contentBytes: number): Uint8Array {
  if (codec === 'raw') return checked(stored, contentBytes)
  return checked(zlib().zstdDecompressSync(stored, decodeOptions(contentBytes)), contentBytes)
}

/** Room for all of it and the byte too many that tells of a wrong size: measured twice as fast as in the usual 16 KiB steps. */
function decodeOptions(contentBytes: number): { chunkSize: number; maxOutputLength: number } {
  return { chunkSize: Math.max(contentBytes + 1, 64), maxOutputLength: Math.max(contentBytes, 1) }
}

function checked(content: Uint8Array, contentBytes: number): Uint8Array {
  if (content.length !== contentBytes) throw wrongLength()
  return content
}

function wrongLength(): Error {
  return new Error('not as long as said')
}

function raw(stored: Uint8Array): Encoded {
  return { codec: 'raw', stored }
}

/** Told the size beforehand, zstd takes tables of that size, which are made in a quarter of the time. */
function compress(bytes: Uint8Array, level: number): Promise<Encoded> {
  const { promise, resolve, reject } = Promise.withResolvers<Encoded>()
  const params = { [zlib().constants.ZSTD_c_compressionLevel]: level }
  zlib().zstdCompress(
    bytes,
    { params, chunkSize: bytes.length + 1024, pledgedSrcSize: bytes.length },
    (error, stored) => {
      if (error === null) resolve({ codec: 'zstd', stored })
      else reject(error)
    },
  )
  return promise
}
