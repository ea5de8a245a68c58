let zlib: typeof import('node:zlib') | undefined

/**
 * CRC-32 as gzip has it (RFC 1952, reflected polynomial 0xedb88320), an unsigned 32-bit number: the one checksum that both
 * runtimes compute with the processor's vector instructions. The module takes 1 to 2 ms to load on Node, so it is for what
 * is large, or compressed and in need of it anyway.
 */
export function crc32(bytes: Uint8Array): number {
  zlib ??= process.getBuiltinModule('node:zlib')
  return zlib.crc32(bytes)
}
