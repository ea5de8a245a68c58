import type { Digest } from '../../digest/digest.ts'
import { digestOf, streamDigest } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { indexChunked } from './apply-record.ts'
import type { BlobWriter } from './blob-writer.ts'
import { type ChunkSizes, chunkSizes, fastCdcChunks } from './fast-cdc.ts'
import type { LargeBlobOptions, StagedBlob } from './large-blob-writer.ts'
import type { RecordPlace } from './segment.ts'

export interface ChunkedOptions extends Pick<LargeBlobOptions, 'index' | 'journal' | 'presence'> {
  readonly writer: BlobWriter
  /** Whether a chunk needs not be written. */
  readonly isThere: (digest: Digest) => boolean
}

/** Of 16 to 256 KiB, so that each is kept as small blobs are. Measured: with 256 KiB on average, half as much more is stored. */
export const CHUNK_SIZES: ChunkSizes = chunkSizes(64 << 10)
/** Chunks on their way into the store: enough to keep all threads compressing, few enough for a small heap. */
const MOST_BUFFERS = 12

/**
 * Keeps a large blob as a list of content-defined chunks, of which only those are written that no other blob brought. Until it
 * is published they are blobs that nobody names. Disposing of it leaves them to the collector.
 */
export async function stageChunked(
  options: ChunkedOptions,
  bytes: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<StagedBlob> {
  const whole = streamDigest()
  const chunks: Digest[] = []
  const writes = new Writes(options.writer)
  try {
    for await (const chunk of fastCdcChunks(bytes, CHUNK_SIZES, signal)) {
      signal?.throwIfAborted()
      whole.update(chunk)
      const digest = digestOf(chunk)
      chunks.push(digest)
      if (!options.isThere(digest)) await writes.add(digest, chunk)
    }
    await writes.finish()
  } finally {
    await writes.settled()
  }
  return new StagedChunks(options, whole.digest(), chunks)
}

class StagedChunks implements StagedBlob {
  readonly digest: Digest
  readonly #options: ChunkedOptions
  readonly #chunks: readonly Digest[]

  constructor(options: ChunkedOptions, digest: Digest, chunks: readonly Digest[]) {
    this.#options = options
    this.digest = digest
    this.#chunks = chunks
  }

  async publish(): Promise<void> {
    const { index, journal, presence } = this.#options
    const record = { kind: 'chunked', digest: this.digest, chunks: this.#chunks } as const
    await journal.commit([record], (places, { timeMs }) => {
      presence.refresh()
      if (presence.firstMissing(this.#chunks) !== undefined) throw collected(this.digest)
      indexChunked(index, { ...record, stampMs: timeMs }, places[0] as RecordPlace)
      presence.add(this.digest)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A chunk is valid until the next one is asked for, so it is copied; the buffers go round. */
class Writes {
  readonly #writer: BlobWriter
  readonly #free: Buffer[] = []
  /** Oldest first. */
  readonly #underWay: Promise<void>[] = []

  constructor(writer: BlobWriter) {
    this.#writer = writer
  }

  async add(digest: Digest, chunk: Uint8Array): Promise<void> {
    if (this.#underWay.length >= MOST_BUFFERS) await this.#underWay.shift()
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_SIZES.max)
    buffer.set(chunk)
    const written = this.#writer.write(digest, buffer.subarray(0, chunk.length)).finally(() => this.#free.push(buffer))
    // It is awaited later; until then a failure is not to count as one nobody looks at.
    written.catch(() => undefined)
    this.#underWay.push(written)
  }

  async finish(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }
}

function collected({ hash }: Digest): CacheError {
  return new CacheError('store.incomplete', `Blob ${hash} was not kept: a part of it was collected meanwhile.`, {
    context: { hash },
  })
}
