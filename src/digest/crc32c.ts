import { CRC32C_MODULE } from './crc32c-module.ts'

/** TypeScript has these types only together with a browser's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

interface Crc32c {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** Of the `length` bytes at {@link DATA}; `seed` is the checksum of what came before. */
  crc(seed: number, length: number): number
}

/** The module's tables lie before it. */
const DATA = 8192

/**
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4), eight bytes a step ("slicing-by-8",
 * Kounavis and Berry 2005). In WebAssembly, which is fast from its first byte on, as a hit needs it: the same in
 * JavaScript is interpreted for most of a hit's life, and took 3 to 15 ms for what takes 1 ms here. Native packages cost
 * more to load than a hit has to check.
 */
let loaded: { readonly crc: Crc32c['crc']; readonly memory: Uint8Array } | undefined

function load(): NonNullable<typeof loaded> {
  const module = new WebAssembly.Module(Buffer.from(CRC32C_MODULE, 'base64'))
  const { crc, memory } = new WebAssembly.Instance(module).exports as Crc32c
  return { crc, memory: new Uint8Array(memory.buffer, DATA) }
}

/**
 * The checksum of the bytes from `from` on as an unsigned 32-bit number. `seed` is the checksum of what came before, so a
 * value may be checked in pieces: `crc32c(b, crc32c(a))` is the checksum of a and b together.
 */
export function crc32c(bytes: Uint8Array, seed = 0, from = 0): number {
  if (loaded === undefined && summedBytes + bytes.length <= BYTES_BEFORE_LOADING) {
    summedBytes += bytes.length
    return crc32cOfFew(bytes, seed, from)
  }
  loaded ??= load()
  const { crc, memory } = loaded
  if (bytes.length <= memory.length) {
    memory.set(bytes)
    // No view of the rest: to make the first one of an array from SQLite takes Bun longer than to move a row.
    if (from > 0) memory.copyWithin(0, from, bytes.length)
    return crc(seed, bytes.length - from) >>> 0
  }
  let sum = seed
  for (let at = from; at < bytes.length; at += memory.length) {
    const part = bytes.subarray(at, at + memory.length)
    memory.set(part)
    sum = crc(sum, part.length)
  }
  return sum >>> 0
}

/** A process that looks up a row or two ends before the module, 0.4 to 0.8 ms to load, would pay: 1 KB takes 0.05 ms without. */
const BYTES_BEFORE_LOADING = 1024
let summedBytes = 0

/** The checksum of every value of half a byte. */
const HALF_BYTES = Uint32Array.from({ length: 16 }, (_, half) => {
  let crc = half
  for (let bit = 0; bit < 4; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  return crc
})

/** The same in JavaScript: at once, and slow. */
export function crc32cOfFew(bytes: Uint8Array, seed = 0, from = 0): number {
  let crc = ~seed
  for (let at = from; at < bytes.length; at++) {
    crc ^= bytes[at] as number
    crc = (crc >>> 4) ^ (HALF_BYTES[crc & 15] as number)
    crc = (crc >>> 4) ^ (HALF_BYTES[crc & 15] as number)
  }
  return ~crc >>> 0
}
