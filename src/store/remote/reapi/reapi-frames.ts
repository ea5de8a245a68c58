import type { FileHandle } from 'node:fs/promises'
import type { Digest } from '../../../digest/digest.ts'
import { BATCH_BLOB_BYTES, type Bytes, type Frames, type OpenBytes, type Scope } from '../../contracts.ts'
import { FrameReader } from '../../local/compression/frame-reader.ts'
import { type Part, partsOf } from '../../local/compression/given-frames.ts'
import { smallFromFrames } from '../../local/compression/small-frames.ts'
import type { Compression } from '../../local/compression.ts'
import { bytesOf } from '../../nameless-file.ts'
import { openBytes } from '../../open-bytes.ts'
import { checkedFrames, FRAME_CONTENT_BYTES } from '../checked-frames.ts'
import { otherThan } from '../connection-fault.ts'
import { once } from '../new-blob.ts'
import { spooled } from '../verified.ts'
import type { LargeBlob } from './large-blob-calls.ts'
import type { ReapiOptions } from './reapi-blobs.ts'
import { FRAME_FROM_BYTES } from './small-blobs.ts'

export interface ReapiFramesOptions extends ReapiOptions {
  readonly compression: Compression
}

/** The blobs of a server as zstd frames. Whether it keeps those that it is sent as they are is its own affair. */
export function reapiFrames(options: ReapiFramesOptions): Frames {
  return new ReapiFrames(options)
}

class ReapiFrames implements Frames {
  readonly #options: ReapiFramesOptions

  constructor(options: ReapiFramesOptions) {
    this.#options = options
  }

  async readFrame(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
    signal?.throwIfAborted()
    const { small, large, channel } = this.#options
    const { instance } = scope
    if (digest.sizeBytes === 0 || !(await large.hasZstd(instance, signal))) return undefined
    if (digest.sizeBytes >= FRAME_FROM_BYTES && (await small.takes(instance, digest, signal)))
      return this.#ofBatch(scope, digest, signal)
    const found = await large.take(instance, digest, signal)
    try {
      if (found?.isFramed !== true) return undefined
      return await (digest.sizeBytes > BATCH_BLOB_BYTES ? this.#large(digest, found) : this.#small(digest, found))
    } catch (error) {
      throw otherThan(channel.server, digest.hash, error)
    } finally {
      found?.cancel()
    }
  }

  async writeFrame({ instance }: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const { small, large } = this.#options
    const frames = new FrameReader(bytes instanceof Uint8Array ? once(bytes) : bytes)
    try {
      if (digest.sizeBytes > BATCH_BLOB_BYTES)
        return await large.writeParts(instance, digest, partsOf(frames, FRAME_CONTENT_BYTES), signal)
      const { content, stored } = await smallFromFrames(frames, digest, signal)
      if (digest.sizeBytes === 0) return
      if (await small.takes(instance, digest, signal)) await small.write(instance, digest, content, signal, stored)
      else await large.writeParts(instance, digest, onePart({ content, frame: stored }), signal)
    } finally {
      await frames.close()
    }
  }

  async #ofBatch({ instance }: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
    const { small, arrived } = this.#options
    const came = await small.read(instance, digest, signal)
    // Who is told that there is no frame reads the blob next.
    if (came !== undefined && came.frame === undefined) arrived.add(digest, came.bytes)
    return came?.frame && openBytes(came.frame)
  }

  async #small(digest: Digest, found: LargeBlob): Promise<OpenBytes | undefined> {
    const { content, stored } = await smallFromFrames(new FrameReader(found.bytes), digest)
    if (stored.length < digest.sizeBytes) return openBytes(stored)
    this.#options.arrived.add(digest, content)
    return undefined
  }

  /** All of it, checked, before any of it is handed out. */
  async #large(digest: Digest, found: LargeBlob): Promise<OpenBytes> {
    const parts = partsOf(new FrameReader(found.bytes), FRAME_CONTENT_BYTES)
    const { compression, tmpDir } = this.#options
    const file = await spooled(checkedFrames(digest, parts, compression), tmpDir)
    const iterator = contentAndEnd(file)
    return {
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: async () => {
        await iterator.return(undefined)
        await file.close()
      },
    }
  }
}

async function* contentAndEnd(file: FileHandle): AsyncGenerator<Uint8Array, undefined> {
  try {
    yield* bytesOf(file)
  } finally {
    await file.close()
  }
}

async function* onePart(part: Part): AsyncGenerator<Part> {
  yield part
}
