import type { Codec } from './segment.ts'

type Zlib = typeof import('node:zlib')
let loaded: Zlib | undefined

/** `node:zlib` takes 1 to 2 ms to load, which a hit that restores nothing need not spend. */
function zlib(): Zlib {
  loaded ??= process.getBuiltinModule('node:zlib')
  return loaded
}

/** Compresses what is worth it, on other threads, so that the caller reads and hashes meanwhile. */
export interface Compression {
  /** The bytes as they are to be stored. `codec` forces one, for the later chunks of a file. */
  encode(bytes: Uint8Array, codec?: Codec): Promise<{ codec: Codec; stored: Uint8Array }>
}

/** A frame must be at least this much smaller, or reading it back costs more than it saves. */
const WORTH_IT = 0.92
/** Less than this is not worth a frame's header and the call. */
const LEAST_BYTES = 128
/** Measured on JavaScript, objects and sources: level 1 keeps up with two hashing cores, 3 saves 8 % more at half the speed. */
const AUTO_LEVEL = 1

export function compressionOf(setting: 'auto' | 'off' | number): Compression {
  if (setting === 'off')
    return { encode: async (stored, codec) => (codec === 'zstd' ? compress(stored, 1) : raw(stored)) }
  const level = setting === 'auto' ? AUTO_LEVEL : setting
  return {
    async encode(bytes, codec) {
      if (codec === 'raw' || (codec === undefined && bytes.length < LEAST_BYTES)) return raw(bytes)
      const compressed = await compress(bytes, level)
      return codec === 'zstd' || compressed.stored.length < bytes.length * WORTH_IT ? compressed : raw(bytes)
    },
  }
}

/** The content of stored bytes; rejects when they are no frame, or not of `contentBytes`. */
export function decode(codec: Codec, stored: Uint8Array, contentBytes: number): Promise<Uint8Array> {
  if (codec === 'raw') {
    if (stored.length !== contentBytes) return Promise.reject(new Error('not as long as said'))
    return Promise.resolve(stored)
  }
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  zlib().zstdDecompress(stored, { maxOutputLength: Math.max(contentBytes, 1) }, (error, content) => {
    if (error !== null) reject(error)
    else if (content.length !== contentBytes) reject(new Error('not as long as said'))
    else resolve(content)
  })
  return promise
}

function raw(stored: Uint8Array): { codec: Codec; stored: Uint8Array } {
  return { codec: 'raw', stored }
}

function compress(bytes: Uint8Array, level: number): Promise<{ codec: Codec; stored: Uint8Array }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ codec: Codec; stored: Uint8Array }>()
  const params = { [zlib().constants.ZSTD_c_compressionLevel]: level }
  zlib().zstdCompress(bytes, { params }, (error, stored) => {
    if (error === null) resolve({ codec: 'zstd', stored })
    else reject(error)
  })
  return promise
}
