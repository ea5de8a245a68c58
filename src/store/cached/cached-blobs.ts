import type { Digest } from '../../digest/digest.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../contracts.ts'
import { openBytes, sliced } from '../open-bytes.ts'
import type { Freshness, Stamp } from './freshness.ts'
import type { Hot, HotEntries } from './hot-entries.ts'

interface HotBlob extends Hot {
  readonly bytes: Uint8Array
  readonly stamp: Stamp
}

/** Larger ones are read from the disk nearly as fast as from memory, and would push out hundreds of others. */
const MOST_BYTES = 64 << 10
/** A map's entry, a key and a buffer's own object. */
const ENTRY_BYTES = 400

/**
 * Small blobs that were read lately, from memory. Their bytes cannot change, so nobody is asked whether they did; after a
 * while they are read below again all the same, so that what is in use there is known to be.
 */
export class CachedBlobs implements BlobStore, Ingest {
  readonly #inner: BlobStore & Ingest
  readonly #entries: HotEntries<Hot>
  readonly #freshness: Freshness
  readonly #blobs = new Map<string, HotBlob>()

  constructor(inner: BlobStore & Ingest, entries: HotEntries<Hot>, freshness: Freshness) {
    this.#inner = inner
    this.#entries = entries
    this.#freshness = freshness
  }

  missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    return this.#inner.missing(scope, digests, signal)
  }

  write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    return this.#inner.write(scope, digest, bytes, signal)
  }

  ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return this.#inner.ingest(scope, bytes, signal)
  }

  async read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    options.signal?.throwIfAborted()
    if (digest.sizeBytes > MOST_BYTES) return this.#inner.read(scope, digest, options)
    const hot = this.#find(digest)
    if (hot !== undefined) return openBytes(sliced(hot, options))
    for await (const { bytes } of this.readBatch(scope, [digest], options.signal))
      return bytes && openBytes(sliced(bytes, options))
    return undefined
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    signal?.throwIfAborted()
    const others: number[] = []
    for (let index = 0; index < digests.length; index++) {
      const bytes = this.#find(digests[index] as Digest)
      if (bytes === undefined) others.push(index)
      else yield { index, bytes }
    }
    if (others.length === 0) return
    const asked = others.map((index) => digests[index] as Digest)
    const stamp = this.#freshness.stamp()
    for await (const { index, bytes } of this.#inner.readBatch(scope, asked, signal)) {
      if (bytes !== undefined) this.#remember(asked[index] as Digest, bytes, stamp)
      yield { index: others[index] as number, bytes }
    }
  }

  #find({ hash, sizeBytes }: Digest): Uint8Array | undefined {
    const hot = this.#blobs.get(hash)
    if (hot === undefined || hot.bytes.length !== sizeBytes || !this.#freshness.isYoung(hot.stamp)) return undefined
    this.#entries.touch(hot.key)
    return hot.bytes
  }

  #remember({ hash, sizeBytes }: Digest, bytes: Uint8Array, stamp: Stamp): void {
    if (sizeBytes === 0 || sizeBytes > MOST_BYTES) return
    // A copy: what the store gave may be a view of a pack, or used again for the next entry.
    const hot = { key: `blob ${hash}`, sizeBytes: sizeBytes + ENTRY_BYTES, bytes: new Uint8Array(bytes), stamp }
    if (this.#entries.add(hot, 0, () => this.#blobs.delete(hash))) this.#blobs.set(hash, hot)
    else this.#blobs.delete(hash)
  }
}
