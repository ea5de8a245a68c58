import type { Digest } from '../../digest/digest.ts'
import { BATCH_BLOB_BYTES, type Bytes, type Frames, type OpenBytes, type Scope } from '../contracts.ts'
import { FrameReader } from '../local/compression/frame-reader.ts'
import { partsOf } from '../local/compression/given-frames.ts'
import { smallFromFrames } from '../local/compression/small-frames.ts'
import { compressionOf } from '../local/compression.ts'
import { bytesOf } from '../nameless-file.ts'
import { checkedFrames, FRAME_CONTENT_BYTES } from '../remote/checked-frames.ts'
import { spooled } from '../remote/verified.ts'
import { InTurn } from './in-turn.ts'
import { READ_UNIT_BYTES } from './replicated-read.ts'
import type { ShardedBlobsOptions } from './sharded-blobs.ts'
import { askAll, type Shard } from './shards.ts'

/** What compresses anew those frames that no store would keep as they come. */
const LEVEL = 3

/** Blobs as zstd frames, each in the ends that have its hash; all of them have frames. */
export class ShardedFrames implements Frames {
  readonly #options: ShardedBlobsOptions

  constructor(options: ShardedBlobsOptions) {
    this.#options = options
  }

  /** Of the first end that says something. Who is told that there are none reads the blob, which is asked of all its ends. */
  async readFrame(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
    const { patience } = this.#options
    const ends = new InTurn(this.#shardsOf(digest), {
      ...{ patience, kind: 'read', signal },
      units: digest.sizeBytes > BATCH_BLOB_BYTES ? Number.POSITIVE_INFINITY : digest.sizeBytes / READ_UNIT_BYTES,
      ask: async ({ end }, within) => ({ frames: await end.frames?.readFrame(scope, digest, within) }),
      drop: ({ frames }) => frames?.[Symbol.asyncDispose](),
    })
    try {
      return (await ends.next())?.value.frames
    } finally {
      ends.over()
    }
  }

  async writeFrame(scope: Scope, digest: Digest, frames: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const shards = this.#shardsOf(digest)
    const write = async (again: () => Bytes) => {
      await askAll(shards, async ({ end }) => end.frames?.writeFrame(scope, digest, again(), signal), signal)
    }
    if (frames instanceof Uint8Array || shards.length === 1) return write(() => frames)
    const reader = new FrameReader(frames)
    try {
      if (digest.sizeBytes <= BATCH_BLOB_BYTES) {
        const { stored } = await smallFromFrames(reader, digest, signal)
        await write(() => stored)
        return
      }
      const checked = checkedFrames(digest, partsOf(reader, FRAME_CONTENT_BYTES), compressionOf(LEVEL))
      await using file = await spooled(checked, this.#options.tmpDir)
      await write(() => bytesOf(file))
    } finally {
      await reader.close()
    }
  }

  #shardsOf({ hash }: Digest): Shard[] {
    return this.#options.shards.of(hash)
  }
}
