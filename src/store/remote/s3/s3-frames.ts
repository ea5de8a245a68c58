import type { Digest } from '../../../digest/digest.ts'
import { BATCH_BLOB_BYTES, type Bytes, type Frames, type OpenBytes, type Scope } from '../../contracts.ts'
import { FrameReader } from '../../local/compression/frame-reader.ts'
import { partsOf } from '../../local/compression/given-frames.ts'
import { smallFromFrames } from '../../local/compression/small-frames.ts'
import { bytesOf } from '../../nameless-file.ts'
import { openBytes } from '../../open-bytes.ts'
import { checkedFrames, FRAME_CONTENT_BYTES } from '../checked-frames.ts'
import { once } from '../new-blob.ts'
import { spooled } from '../verified.ts'
import type { Bucket } from './bucket.ts'
import { NewBlobs } from './new-blobs.ts'
import type { StoredBlob } from './stored-blobs.ts'

/** The blobs of a bucket as the zstd frames that their objects are. */
export class S3Frames implements Frames {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async readFrame(_: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
    signal?.throwIfAborted()
    const { stored } = this.#bucket
    const isLarge = digest.sizeBytes > BATCH_BLOB_BYTES
    // What is left in the middle costs a connection: worse than asking first.
    if (digest.sizeBytes === 0 || (isLarge && (await stored.look(digest, signal)) !== 'frames')) return undefined
    await using found = await stored.open(digest, signal)
    if (!found?.isFrames) return undefined
    try {
      return isLarge ? await this.#large(digest, found) : await this.#small(digest, found)
    } catch (error) {
      throw stored.found(digest, error)
    }
  }

  async writeFrame(_: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const frames = new FrameReader(bytes instanceof Uint8Array ? once(bytes) : bytes)
    const blobs = new NewBlobs(this.#bucket, signal)
    try {
      if (digest.sizeBytes > BATCH_BLOB_BYTES) return await blobs.parts(digest, partsOf(frames, FRAME_CONTENT_BYTES))
      const { content, stored } = await smallFromFrames(frames, digest, signal)
      if (digest.sizeBytes > 0) await blobs.stored(digest, stored.length < content.length ? stored : content)
    } finally {
      await frames.close()
    }
  }

  async #small(digest: Digest, { bytes }: StoredBlob): Promise<OpenBytes> {
    const { stored } = await smallFromFrames(new FrameReader(bytes), digest)
    return openBytes(stored)
  }

  /** All of it, checked, before any of it is handed out. */
  async #large(digest: Digest, { bytes }: StoredBlob): Promise<OpenBytes> {
    const { compression, tmpDir } = this.#bucket
    const parts = partsOf(new FrameReader(bytes), FRAME_CONTENT_BYTES)
    const file = await spooled(checkedFrames(digest, parts, compression), tmpDir)
    const iterator = bytesOf(file)
    const close = async () => {
      await iterator.return(undefined)
      await file.close()
    }
    return {
      async *[Symbol.asyncIterator]() {
        try {
          yield* iterator
        } finally {
          await close()
        }
      },
      [Symbol.asyncDispose]: close,
    }
  }
}
