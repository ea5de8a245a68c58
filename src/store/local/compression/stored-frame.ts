import type { Compression } from '../compression.ts'

/** RFC 8878, 3.1.1: magic number, and a descriptor that says: one segment, its size in four bytes, no checksum. */
const FRAME_HEAD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0])
const HEADER_BYTES = FRAME_HEAD.length + 4
const BLOCK_HEADER_BYTES = 3
const MOST_BLOCK_BYTES = 128 << 10

/** A frame of blocks that are not compressed; less than 4 GiB. */
export function storedFrame(content: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(content.length / MOST_BLOCK_BYTES))
  const frame = Buffer.allocUnsafe(HEADER_BYTES + blocks * BLOCK_HEADER_BYTES + content.length)
  frame.set(FRAME_HEAD)
  frame.writeUInt32LE(content.length, FRAME_HEAD.length)
  let end = HEADER_BYTES
  for (let number = 0; number < blocks; number++) {
    const block = content.subarray(number * MOST_BLOCK_BYTES, (number + 1) * MOST_BLOCK_BYTES)
    frame.writeUIntLE((block.length << 3) | (number === blocks - 1 ? 1 : 0), end, BLOCK_HEADER_BYTES)
    frame.set(block, end + BLOCK_HEADER_BYTES)
    end += BLOCK_HEADER_BYTES + block.length
  }
  return frame
}

/** Content as a frame, however little that saves. */
export async function frameOf(content: Uint8Array, compression: Compression): Promise<Uint8Array> {
  const { codec, stored } = await compression.encode(content)
  return codec === 'zstd' ? stored : storedFrame(content)
}
