import { type Digest, sameDigest } from '../../digest/digest.ts'
import { digestOf, streamDigest } from '../../digest/sha256.ts'
import {
  BATCH_BLOB_BYTES,
  type BatchEntry,
  type BlobStore,
  type Bytes,
  type Ingest,
  type OpenBytes,
  type ReadOptions,
  type Scope,
} from '../contracts.ts'
import { head } from '../head.ts'
import { bytesOf } from '../nameless-file.ts'
import { notTheBlob } from '../remote/checked-pieces.ts'
import { spooled } from '../remote/verified.ts'
import type { BesideParts } from './beside.ts'
import { Inquiry, type InquiryOptions } from './inquiry.ts'
import { Lent } from './lent.ts'
import { READ_UNIT_BYTES, replicatedRead } from './replicated-read.ts'
import { askAll, type Shard, type ShardedParts } from './shards.ts'

export interface ShardedBlobsOptions extends ShardedParts {
  readonly beside: BesideParts
  /** Where a large blob lies while it goes to several ends; the system's own folder for such things unless said. */
  readonly tmpDir: string | undefined
}

/** So many are looked up as quickly as one. */
const LOOK_UP_DIGESTS = 32

/** Blobs, each in the ends that have its hash. */
export class ShardedBlobs implements BlobStore, Ingest {
  readonly #options: ShardedBlobsOptions

  constructor(options: ShardedBlobsOptions) {
    this.#options = options
  }

  async missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    const inquiry = this.#inquiry(scope, digests, {
      ...{ kind: 'look-up', signal },
      unitsOf: ({ length }) => length / LOOK_UP_DIGESTS,
      ask: async ({ shard, digests, answer }, within) => {
        const missing = new Set((await shard.end.blobs.missing(scope, digests, within)).map(nameOf))
        for (const [at, digest] of digests.entries()) answer(at, !missing.has(nameOf(digest)))
      },
    })
    return (await inquiry.run()).map((index) => digests[index] as Digest)
  }

  read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    return replicatedRead(this.shardsOf(digest), scope, digest, {
      ...options,
      patience: this.#options.patience,
      found: (from, to) => this.repair(scope, digest, from, to),
    })
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const left = new AbortController()
    const lent = new Lent<BatchEntry>()
    const inquiry = this.#inquiry(scope, digests, {
      kind: 'read',
      signal: signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]),
      unitsOf: (digests) => digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / READ_UNIT_BYTES,
      ask: async ({ shard, digests, indexes, answer }, within) => {
        for await (const { index: at, bytes } of shard.end.blobs.readBatch(scope, digests, within))
          if (answer(at, bytes !== undefined) && bytes !== undefined)
            await lent.give({ index: indexes[at] as number, bytes })
      },
    })
    const missing = inquiry.run().finally(() => lent.end())
    missing.catch(() => undefined)
    let isWhole = false
    try {
      yield* lent.all()
      for (const index of await missing) yield { index, bytes: undefined }
      isWhole = true
    } finally {
      // Whoever leaves does not hear how it ended.
      if (!isWhole) {
        left.abort()
        await inquiry.settled()
      }
    }
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const shards = this.#placesOf(digest)
    const [only] = shards
    if (shards.length === 1 && only !== undefined && !(bytes instanceof Uint8Array))
      return only.end.blobs.write(scope, digest, bytes, signal)
    if (bytes instanceof Uint8Array) return this.#writeAll(scope, digest, () => bytes, signal)
    await this.#named(bytes, signal, async (found, again) => {
      if (!sameDigest(found, digest)) throw notTheBlob(digest.hash, `those of ${found.hash}`)
      await this.#writeAll(scope, digest, again, signal)
    })
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return this.#named(bytes, signal, async (digest, again) => {
      await this.#writeAll(scope, digest, again, signal)
    })
  }

  /** Reads a stream to its end, so that it has a name and can be read again by each end: small ones in memory, large ones from a file. */
  async #named(
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    use: (digest: Digest, again: () => Bytes) => Promise<void>,
  ): Promise<Digest> {
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { signal })
    if (whole !== undefined) {
      const digest = digestOf(whole)
      await use(digest, () => whole)
      return digest
    }
    const named = streamDigest()
    await using file = await spooled(watched(rest, named.update, signal), this.#options.tmpDir)
    const digest = named.digest()
    await use(digest, () => bytesOf(file))
    return digest
  }

  async #writeAll(scope: Scope, digest: Digest, again: () => Bytes, signal?: AbortSignal): Promise<void> {
    const write = ({ end }: Shard) => end.blobs.write(scope, digest, again(), signal)
    await askAll(this.#placesOf(digest), write, signal)
    const bytes = again()
    if (bytes instanceof Uint8Array) this.#options.beside.written.add(digest, bytes)
  }

  #inquiry(
    scope: Scope,
    digests: readonly Digest[],
    question: Pick<InquiryOptions, 'kind' | 'unitsOf' | 'ask' | 'signal'>,
  ): Inquiry {
    return new Inquiry({
      ...question,
      digests,
      shards: digests.map((digest) => this.shardsOf(digest)),
      patience: this.#options.patience,
      found: (digest, from, to) => this.repair(scope, digest, from, to),
    })
  }

  /** Copied behind the caller's back. */
  repair(scope: Scope, digest: Digest, from: Shard, to: readonly Shard[]): void {
    const places = this.#placesOf(digest)
    for (const shard of to.filter((shard) => places.includes(shard))) {
      const copy = async (signal: AbortSignal) => {
        await using bytes = await from.end.blobs.read(scope, digest, { signal })
        if (bytes !== undefined) await shard.end.blobs.write(scope, digest, bytes, signal)
      }
      this.#options.repairs.offer({ key: nameOf(digest), to: shard, copy })
    }
  }

  /** Where a blob may be found, the best place first. */
  shardsOf(digest: Digest): readonly Shard[] {
    const home = this.#options.beside.homes.of(digest)
    const places = this.#placesOf(digest)
    return home === undefined ? places : [home, ...places.filter((shard) => shard !== home)]
  }

  /** Where a blob belongs. */
  #placesOf({ hash }: Digest): readonly Shard[] {
    return this.#options.shards.of(hash)
  }
}

export function nameOf({ hash, sizeBytes }: Digest): string {
  return `${hash}/${sizeBytes}`
}

async function* watched(
  source: AsyncIterable<Uint8Array>,
  see: (piece: Uint8Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    signal?.throwIfAborted()
    see(piece)
    yield piece
  }
}
