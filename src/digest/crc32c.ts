/**
 * CRC32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4), eight bytes a step ("slicing-by-8",
 * Kounavis and Berry 2005). In JavaScript, since the native packages cost more to load than a hit has to check.
 */
let tables: Int32Array | undefined

function makeTables(): Int32Array {
  const table = new Int32Array(8 * 256)
  // A remainder is linear: those of the eight bits give all others by one exclusive-or each. Not yet compiled code does
  // this in a third of the time of a loop over all bits of all bytes, and a hit has no time to warm up.
  let crc = 1
  for (let bit = 128; bit > 0; bit >>= 1) {
    crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    for (let i = 0; i < 256; i += 2 * bit) table[i + bit] = crc ^ (table[i] as number)
  }
  for (let i = 256; i < table.length; i++) {
    const shorter = table[i - 256] as number
    table[i] = (table[shorter & 255] as number) ^ (shorter >>> 8)
  }
  return table
}

/**
 * The checksum as an unsigned 32-bit number. `seed` is the checksum of what came before, so a value may be checked in
 * pieces: `crc32c(b, crc32c(a))` is the checksum of a and b together.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  tables ??= makeTables()
  const t = tables as unknown as { readonly [index: number]: number }
  const b = bytes as unknown as { readonly [index: number]: number }
  const end = bytes.length
  let crc = ~seed
  let i = 0
  for (; i + 8 <= end; i += 8) {
    crc ^= (b[i] as number) | ((b[i + 1] as number) << 8) | ((b[i + 2] as number) << 16) | ((b[i + 3] as number) << 24)
    crc =
      (t[1792 + (crc & 255)] as number) ^
      (t[1536 + ((crc >>> 8) & 255)] as number) ^
      (t[1280 + ((crc >>> 16) & 255)] as number) ^
      (t[1024 + (crc >>> 24)] as number) ^
      (t[768 + (b[i + 4] as number)] as number) ^
      (t[512 + (b[i + 5] as number)] as number) ^
      (t[256 + (b[i + 6] as number)] as number) ^
      (t[b[i + 7] as number] as number)
  }
  for (; i < end; i++) crc = (t[(crc ^ (b[i] as number)) & 255] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}
