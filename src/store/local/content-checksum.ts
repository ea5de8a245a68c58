import { crc32 } from '../../digest/crc32.ts'
import { crc32c } from '../../digest/crc32c.ts'
import type { Codec } from './segment.ts'

/** How stored content is checked: a record's body, or the chunks of a large blob's file. */
export type Checksum = 'crc32c' | 'crc32'

/** Below, CRC32C in WebAssembly takes less than loading the other. */
const CRC32_BYTES = 256 << 10

/** What is to be decompressed loads zlib anyway. */
export function checksumFor(codec: Codec, contentBytes: number): Checksum {
  return codec === 'zstd' || contentBytes >= CRC32_BYTES ? 'crc32' : 'crc32c'
}

export function checksumOf(checksum: Checksum, content: Uint8Array): number {
  return checksum === 'crc32' ? crc32(content) : crc32c(content)
}
