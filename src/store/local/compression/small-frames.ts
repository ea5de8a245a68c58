import type { Digest } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { type FrameReader, noFrame } from './frame-reader.ts'
import { frameContent } from './given-frames.ts'

/** A frame of a byte takes ten times the memory of what it holds. */
const MOST_FRAMES = 10_000

/**
 * A small blob, and the frames that it came in: as they are, not merged, and one that says no content size stays so. Throws
 * `store.corrupt` where they hold something else.
 */
export async function smallFromFrames(
  frames: FrameReader,
  digest: Digest,
  signal?: AbortSignal,
): Promise<{ readonly content: Uint8Array; readonly stored: Uint8Array }> {
  const pieces: Uint8Array[] = []
  for (let most = digest.sizeBytes; ; ) {
    signal?.throwIfAborted()
    const next = await frames.next(most, true)
    if (next === undefined) break
    if (next.bytes === undefined) throw noFrame('larger than the blob')
    pieces.push(next.bytes)
    most -= next.contentBytes ?? 0
    if (pieces.length > MOST_FRAMES) throw noFrame('too many')
  }
  const stored = Buffer.concat(pieces)
  const content = stored.length === 0 ? stored : await frameContent(stored, digest.sizeBytes)
  refuseOther(digest, digestOf(content))
  return { content, stored }
}

export function refuseOther(said: Digest, found: Digest): void {
  if (said.hash !== found.hash || said.sizeBytes !== found.sizeBytes)
    throw noFrame(`they hold ${found.hash}, not ${said.hash}`)
}
