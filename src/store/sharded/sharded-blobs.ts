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
import type { Repairs } from './repairs.ts'
import { ReplicatedRead } from './replicated-read.ts'
import { Rounds } from './rounds.ts'
import { askAll, type Shard, type Shards } from './shards.ts'

export interface ShardedOptions {
  readonly shards: Shards
  readonly repairs: Repairs
  /** Where a large blob lies while it goes to several ends; the system's own folder for such things unless said. */
  readonly tmpDir: string | undefined
}

/** Blobs, each in the ends that have its hash. */
export class ShardedBlobs implements BlobStore, Ingest {
  readonly #options: ShardedOptions

  constructor(options: ShardedOptions) {
    this.#options = options
  }

  async missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const rounds = this.#rounds(scope, digests, signal)
    for (let groups = rounds.next(); groups.length > 0; groups = rounds.next())
      await Promise.all(
        groups.map(async (group) => {
          try {
            const missing = new Set((await group.shard.end.blobs.missing(scope, group.digests, signal)).map(nameOf))
            for (const [at, digest] of group.digests.entries()) group.answer(at, !missing.has(nameOf(digest)))
          } catch (error) {
            group.fault(error)
          }
        }),
      )
    return rounds.left().map((index) => digests[index] as Digest)
  }

  read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    return new ReplicatedRead(this.#shardsOf(digest), scope, digest, options, (from, to) =>
      this.#repair(scope, digest, from, to),
    ).open()
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    signal?.throwIfAborted()
    const rounds = this.#rounds(scope, digests, signal)
    for (let groups = rounds.next(); groups.length > 0; groups = rounds.next())
      yield* rounds.read(groups, scope, signal)
    for (const index of rounds.left()) yield { index, bytes: undefined }
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const shards = this.#shardsOf(digest)
    const [only] = shards
    if (shards.length === 1 && only !== undefined) return only.end.blobs.write(scope, digest, bytes, signal)
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
    await askAll(this.#shardsOf(digest), ({ end }) => end.blobs.write(scope, digest, again(), signal), signal)
  }

  #rounds(scope: Scope, digests: readonly Digest[], signal: AbortSignal | undefined): Rounds {
    const shards = digests.map((digest) => this.#shardsOf(digest))
    return new Rounds(digests, shards, signal, (digest, from, to) => this.#repair(scope, digest, from, to))
  }

  #repair(scope: Scope, digest: Digest, from: Shard, to: readonly Shard[]): void {
    for (const shard of to) {
      const copy = async (signal: AbortSignal) => {
        await using bytes = await from.end.blobs.read(scope, digest, { signal })
        if (bytes !== undefined) await shard.end.blobs.write(scope, digest, bytes, signal)
      }
      this.#options.repairs.offer({ key: nameOf(digest), to: shard, copy })
    }
  }

  #shardsOf({ hash }: Digest): Shard[] {
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
