import { frameOf, storedFrame } from '../../store/local/compression/stored-frame.ts'
import { compressionOf } from '../../store/local/compression.ts'

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
    yield await frameOf(piece, compression)
  }
  if (isEmpty) yield storedFrame(new Uint8Array(0))
}
