import type { Digest } from '../../../digest/digest.ts'
import { sha256Hex } from '../../../digest/sha256.ts'
import type { Part } from '../../local/compression/given-frames.ts'
import { checkedFrames, chunkParts } from '../checked-frames.ts'
import { checkedPieces } from '../checked-pieces.ts'
import type { Send } from '../new-blob.ts'
import { opened } from '../opened.ts'
import type { Bucket } from './bucket.ts'

/** As much of what is not compressed as is checked at once. */
const PIECE_BYTES = 1 << 20

/** Keeps blobs, compressed where that saves something. */
export class NewBlobs implements Send {
  readonly #bucket: Bucket
  readonly #signal: AbortSignal | undefined

  constructor(bucket: Bucket, signal: AbortSignal | undefined) {
    this.#bucket = bucket
    this.#signal = signal
  }

  /** Whose bytes are known to be its own. */
  async small(digest: Digest, bytes: Uint8Array): Promise<void> {
    const { codec, stored } = await this.#bucket.compression.encode(bytes)
    await this.stored(digest, stored, codec === 'zstd' ? sha256Hex(stored) : digest.hash)
  }

  /** Bytes that are known to hold the blob, as they are. */
  async stored(digest: Digest, bytes: Uint8Array, hash: string = sha256Hex(bytes)): Promise<void> {
    const { objects, stored } = this.#bucket
    await objects.whole(this.#objectOf(digest), bytes, hash)
    stored.trust(digest)
  }

  async large(digest: Digest, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    await using content = await opened(bytes)
    if (!this.#bucket.compression.isDense(content.first)) return await this.parts(digest, chunkParts(content.all))
    await this.#stream(digest, checkedContent(digest, content.all))
  }

  /** A large blob that comes in frames, or in part. */
  async parts(digest: Digest, parts: AsyncIterable<Part>): Promise<void> {
    await this.#stream(digest, ofOtherSize(digest, checkedFrames(digest, parts, this.#bucket.compression)))
  }

  /** Bytes that are checked on their way. */
  async #stream(digest: Digest, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const { objects, stored } = this.#bucket
    await objects.stream(this.#objectOf(digest), bytes, digest.sizeBytes)
    stored.trust(digest)
  }

  #objectOf(digest: Digest): { key: string; isReplacing: boolean; signal: AbortSignal | undefined } {
    const { stored } = this.#bucket
    return { key: stored.keyOf(digest), isReplacing: stored.isDoubted(digest), signal: this.#signal }
  }
}

async function* checkedContent(digest: Digest, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const { data } of checkedPieces(digest, bytes, PIECE_BYTES)) yield data
}

/** RFC 8878, 3.1.2: a frame that readers skip, with nothing in it. */
const SKIPPED_FRAME = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])

/** Frames that happen to be just as long as what they hold would be taken for it. */
export async function* ofOtherSize(
  { sizeBytes }: Pick<Digest, 'sizeBytes'>,
  frames: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let total = 0
  for await (const frame of frames) {
    total += frame.length
    yield frame
  }
  if (total === sizeBytes) yield SKIPPED_FRAME
}
