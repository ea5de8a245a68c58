import type { Digest } from '../../digest/digest.ts'
import { FrameReader, noFrame } from '../local/compression/frame-reader.ts'
import { type Part, partsOf } from '../local/compression/given-frames.ts'
import { FRAME_CONTENT_BYTES } from './checked-frames.ts'

/** What frames hold, however they are divided. Throws `store.corrupt`. */
export function contentOf(frames: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  return contentIn(partsOf(new FrameReader(frames), FRAME_CONTENT_BYTES))
}

export async function* contentIn(parts: AsyncIterable<Part>): AsyncGenerator<Uint8Array> {
  for await (const { content } of parts) yield content
}

/** The frames of a blob, as long as they are no longer than zstd makes them of content in frames of any use. Throws `store.corrupt`. */
export async function* noLongerThan(
  { sizeBytes }: Digest,
  frames: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let left = 2 * sizeBytes + (1 << 20)
  for await (const piece of frames) {
    left -= piece.length
    if (left < 0) throw noFrame('longer than zstd makes it')
    yield piece
  }
}
