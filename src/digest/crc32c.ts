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
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4) by slicing (Kounavis and Berry 2005): four
 * bytes a step in JavaScript until a process has summed some of them, from then on eight in WebAssembly. Native packages
 * cost more to load than a hit has to check.
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

/**
 * Of the first and what follows `from` bytes of the second, as `crc32c(second, crc32c(first, seed), from)`: of a short key
 * and its value, which are summed at once.
 */
export function crc32cOfBoth(first: Uint8Array, second: Uint8Array, seed: number, from: number): number {
  const start = first.length - from
  if (loaded === undefined || start < 0 || start + second.length > loaded.memory.length)
    return crc32c(second, crc32c(first, seed), from)
  const { crc, memory } = loaded
  // The second first: what is left out of it lies where the first one ends.
  memory.set(second, start)
  memory.set(first)
  return crc(seed, start + second.length) >>> 0
}

/**
 * The module pays when there is more than this: to load and compile it takes Bun 0.6 ms, on another thread that may have to
 * be waited for, in which it would have summed 30 KB without. Node compiles it in 0.3 ms on the same thread.
 */
const BYTES_BEFORE_LOADING = process.versions.bun === undefined ? 1024 : 40_000
let summedBytes = 0

let tables: readonly [Int32Array, Int32Array, Int32Array, Int32Array] | undefined

/** Of every byte with no, one, two and three bytes of zeros behind it. */
function makeTables(): NonNullable<typeof tables> {
  const table = new Int32Array(4 * 256)
  // The checksum of a sum is the sum of the checksums: eight are enough to know all.
  for (let bit = 128, crc = 1; bit > 0; bit >>= 1) {
    crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
    for (let at = 0; at < 256; at += 2 * bit) table[at + bit] = crc ^ (table[at] as number)
  }
  for (let at = 0; at < 3 * 256; at++) {
    const crc = table[at] as number
    table[at + 256] = (crc >>> 8) ^ (table[crc & 255] as number)
  }
  return [table.subarray(0, 256), table.subarray(256, 512), table.subarray(512, 768), table.subarray(768)]
}

/** The same in JavaScript: at once, and slow. */
export function crc32cOfFew(bytes: Uint8Array, seed = 0, from = 0): number {
  tables ??= makeTables()
  const [table0, table1, table2, table3] = tables
  const { length } = bytes
  let crc = ~seed
  let at = from
  if (length - from >= 64 && ((bytes.byteOffset + from) & 3) === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (length - from) >> 2)
    for (let i = 0; i < words.length; i++) {
      crc ^= words[i] as number
      crc =
        (table3[crc & 255] as number) ^
        (table2[(crc >>> 8) & 255] as number) ^
        (table1[(crc >>> 16) & 255] as number) ^
        (table0[crc >>> 24] as number)
    }
    at += 4 * words.length
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ (table0[(crc ^ (bytes[at] as number)) & 255] as number)
  return ~crc >>> 0
}
