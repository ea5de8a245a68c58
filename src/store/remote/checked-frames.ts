import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import type { Part } from '../local/compression/given-frames.ts'
import { frameOf } from '../local/compression/stored-frame.ts'
import type { Compression } from '../local/compression.ts'
import { streamChunks } from '../local/stream-chunks.ts'
import { notTheBlob } from './checked-pieces.ts'

/** What frames of ours hold, and stores of our kind keep as they are. */
export const FRAME_CONTENT_BYTES = 1 << 20
/** Frames that are made while the next part is read and hashed. */
const AT_ONCE = 3

interface OwnedPart extends Part {
  free?(): void
}

/**
 * A blob as zstd frames, those kept that its parts came in. The last comes only when all together are what the digest says: else
 * `store.corrupt`, so that whoever is sent them never has it whole.
 */
export async function* checkedFrames(
  { hash, sizeBytes }: Digest,
  parts: AsyncIterable<OwnedPart>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  const digest = streamDigest()
  const frames: Promise<Uint8Array>[] = []
  let contentBytes = 0
  for await (const part of parts) {
    contentBytes += part.content.length
    if (contentBytes > sizeBytes) throw notTheBlob(hash, `more than ${sizeBytes} bytes`)
    digest.update(part.content)
    const frame = part.frame === undefined ? madeFrame(part, compression) : Promise.resolve(part.frame)
    // Whoever leaves does not wait for it.
    frame.catch(() => undefined)
    frames.push(frame)
    if (frames.length > AT_ONCE) yield (await frames.shift()) as Uint8Array
  }
  const found = digest.digest()
  if (found.hash !== hash || found.sizeBytes !== sizeBytes) throw notTheBlob(hash, `those of ${found.hash}`)
  for (const frame of frames) yield await frame
}

/** Content that came in no frames. */
export async function* chunkParts(content: AsyncIterable<Uint8Array>): AsyncGenerator<OwnedPart> {
  for await (const { bytes, free } of streamChunks(content, FRAME_CONTENT_BYTES)) yield { content: bytes, free }
}

async function madeFrame({ content, free }: OwnedPart, compression: Compression): Promise<Uint8Array> {
  try {
    return await frameOf(content, compression)
  } finally {
    free?.()
  }
}
