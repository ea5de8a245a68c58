import { compressionOf } from '../../store/local/compression.ts'

/** RFC 8878, 3.1.1: magic number, and a descriptor that says: one segment, its size in four bytes, no checksum. */
const FRAME_HEAD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0])
const HEADER_BYTES = FRAME_HEAD.length + 4
const BLOCK_HEADER_BYTES = 3
const MOST_BLOCK_BYTES = 128 << 10
/** For a client that waits: twice as fast as what is stored, and a tenth larger. */
const LEVEL = 1

/**
 * Content as zstd, for those who ask for that while it is stored otherwise: a frame for each piece. Where it hardly shrinks,
 * the frame holds the bytes as they are, which costs a copy. No content is a frame without any.
 */
export async function* zstdContent(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const compression = compressionOf(LEVEL)
  let isEmpty = true
  for await (const piece of content) {
    isEmpty = false
    const { codec, stored } = await compression.encode(piece)
    yield codec === 'zstd' ? stored : storedFrame(piece)
  }
  if (isEmpty) yield storedFrame(new Uint8Array(0))
}

/** A frame of blocks that are not compressed; less than 4 GiB. */
function storedFrame(content: Uint8Array): Uint8Array {
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
