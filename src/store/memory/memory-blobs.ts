import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import type { BatchEntry, BlobNames, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../contracts.ts'
import { openBytes, sliced } from '../open-bytes.ts'

const EMPTY = new Uint8Array(0)

/** Blobs in a map. */
export function memoryBlobs(): BlobStore & Ingest & BlobNames {
  return new MemoryBlobs()
}

class MemoryBlobs implements BlobStore, Ingest, BlobNames {
  readonly #blobs = new Map<string, Uint8Array>()

  async digestOf(_scope: Scope, hash: string): Promise<Digest | undefined> {
    if (hash === EMPTY_DIGEST.hash) return EMPTY_DIGEST
    const bytes = this.#blobs.get(hash)
    return bytes && { hash, sizeBytes: bytes.length }
  }

  async missing(_scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    return digests.filter((digest) => this.#get(digest) === undefined)
  }

  async read(_scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    options.signal?.throwIfAborted()
    const bytes = this.#get(digest)
    return bytes && openBytes(sliced(bytes, options))
  }

  async *readBatch(_scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    for (let index = 0; index < digests.length; index++) {
      signal?.throwIfAborted()
      yield { index, bytes: this.#get(digests[index] as Digest) }
    }
  }

  async write(_scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    // Copied, so that the caller may use its buffer again.
    if (bytes instanceof Uint8Array) this.#blobs.set(digest.hash, new Uint8Array(bytes))
    else this.#keep(await collected(bytes, signal), digest)
  }

  async ingest(_scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return this.#keep(await collected(bytes, signal))
  }

  #keep(bytes: Uint8Array, expected?: Digest): Digest {
    const digest = digestOf(bytes)
    if (expected !== undefined && (expected.hash !== digest.hash || expected.sizeBytes !== digest.sizeBytes))
      throw new CacheError(
        'store.corrupt',
        `The bytes are not those of blob ${expected.hash}: they are ${digest.hash}.`,
      )
    this.#blobs.set(digest.hash, bytes)
    return digest
  }

  #get(digest: Digest): Uint8Array | undefined {
    if (digest.sizeBytes === 0) return EMPTY
    const bytes = this.#blobs.get(digest.hash)
    return bytes?.length === digest.sizeBytes ? bytes : undefined
  }
}

async function collected(bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes) {
    signal?.throwIfAborted()
    chunks.push(new Uint8Array(chunk))
  }
  return Buffer.concat(chunks)
}
