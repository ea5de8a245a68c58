import { CacheError } from '../../errors.ts'
import { classOf } from './compression/content-class.ts'
import { LevelChoice } from './compression/level-choice.ts'
import { zstdFrames } from './compression/zstd-frames.ts'
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
  /** The bytes as they are to be stored. `codec` forces one: what this gave for the first chunk of the same file. */
  encode(bytes: Uint8Array, codec?: Codec): Promise<Encoded>
  /** Whether the bytes are better stored as they are, by a look at a few of them. */
  isDense(bytes: Uint8Array): boolean
  /** Tells what the medium took and how long: the level of `auto` goes by it. */
  wrote(bytes: number, ms: number): void
}

/** A frame must be at least this much smaller, or reading it back costs more than it saves. */
const WORTH_IT = 0.92
/** Less than this is not worth a frame's header and the call. */
const LEAST_BYTES = 128

/** A level is one of zstd's, from 1 to 19; others are refused with `usage`. */
export function compressionOf(setting: 'auto' | 'off' | number): Compression {
  if (typeof setting === 'number' && !(Number.isInteger(setting) && setting >= 1 && setting <= 19))
    throw new CacheError('usage', `compression is ${setting}: a level of zstd is a whole number from 1 to 19.`)
  return setting === 'off' ? new Uncompressed() : new Zstd(setting)
}

class Uncompressed implements Compression {
  async encode(bytes: Uint8Array): Promise<Encoded> {
    return raw(bytes)
  }

  isDense(): boolean {
    return true
  }

  wrote(): void {}
}

class Zstd implements Compression {
  readonly #level: number | undefined
  readonly #frames = zstdFrames()
  readonly #choice = new LevelChoice()

  constructor(level: 'auto' | number) {
    this.#level = level === 'auto' ? undefined : level
  }

  async encode(bytes: Uint8Array, codec?: Codec): Promise<Encoded> {
    if (codec === 'raw' || (codec === undefined && bytes.length < LEAST_BYTES)) return raw(bytes)
    const kind = classOf(bytes)
    if (kind === 'dense' && codec === undefined) return raw(bytes)
    const stored = await this.#compress(bytes, kind === 'dense' ? 'binary' : kind)
    return codec === 'zstd' || stored.length < bytes.length * WORTH_IT ? { codec: 'zstd', stored } : raw(bytes)
  }

  isDense(bytes: Uint8Array): boolean {
    return classOf(bytes) === 'dense'
  }

  wrote(bytes: number, ms: number): void {
    this.#choice.wrote(bytes, ms)
  }

  async #compress(bytes: Uint8Array, kind: 'text' | 'binary'): Promise<Uint8Array> {
    if (this.#level !== undefined) return this.#frames.compress(bytes, this.#level)
    const level = this.#choice.level(kind)
    using timing = this.#choice.time()
    const stored = await this.#frames.compress(bytes, level)
    timing.done(kind, level, bytes.length, stored.length)
    return stored
  }
}

/** Twice the threads of the pool. Each has a window of its own, as large as the content. */
const DECODING_AT_ONCE = 8
const waiting: (() => void)[] = []
let decoding = 0

/** The content of stored bytes, on another thread; rejects when they are no frame, or not of `contentBytes`. */
export async function decode(codec: Codec, stored: Uint8Array, contentBytes: number): Promise<Uint8Array> {
  if (codec === 'raw') return checked(stored, contentBytes)
  if (decoding >= DECODING_AT_ONCE) await new Promise<void>((wake) => waiting.push(wake))
  else decoding++
  try {
    return checked(await decompressed(stored, contentBytes), contentBytes)
  } finally {
    // Straight to the next one, or a newcomer could overtake.
    const wake = waiting.shift()
    if (wake === undefined) decoding--
    else wake()
  }
}

function decompressed(stored: Uint8Array, contentBytes: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  zlib().zstdDecompress(stored, decodeOptions(contentBytes), (error, content) => {
    if (error === null) resolve(content)
    else reject(error)
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
