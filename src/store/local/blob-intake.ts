import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { BATCH_BLOB_BYTES, type Bytes } from '../contracts.ts'
import { head } from '../head.ts'
import type { BlobLookup } from './blob-lookup.ts'
import type { BlobWriter } from './blob-writer.ts'
import type { LargeBlobOptions, StagedBlob } from './large-blob-writer.ts'

export interface BlobIntakeOptions extends LargeBlobOptions {
  readonly lookup: BlobLookup
  readonly writer: BlobWriter
  readonly readOnly: boolean
  readonly chunking: 'off' | 'fastcdc'
}

/** What is to be kept: small blobs go to the writer of packs, large ones through a stage of their own, and what is there already nowhere. */
export class BlobIntake {
  readonly #options: BlobIntakeOptions

  constructor(options: BlobIntakeOptions) {
    this.#options = options
  }

  write(digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    const { presence, writer, readOnly } = this.#options
    const isSmall = bytes instanceof Uint8Array && bytes.length <= BATCH_BLOB_BYTES
    // Asked for just now by a caller with thousands to write: no promise for each.
    if (isSmall && !readOnly && signal?.aborted !== true && presence.isAbsent(digest.hash))
      return writer.write(digest, bytes)
    return this.#write(digest, bytes, signal)
  }

  async #write(digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    this.#refuseReadOnly()
    signal?.throwIfAborted()
    if (!(bytes instanceof Uint8Array)) return this.#writeStream(digest, bytes, signal)
    if (this.#options.lookup.isThere(digest)) return
    if (bytes.length <= BATCH_BLOB_BYTES) return this.#options.writer.write(digest, bytes)
    return this.#writeLarge(digest, bytes, signal)
  }

  async ingest(bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    this.#refuseReadOnly()
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { signal })
    if (whole !== undefined) {
      const digest = digestOf(whole)
      if (!this.#options.lookup.isThere(digest)) await this.#options.writer.write(digest, whole)
      return digest
    }
    await using staged = await this.#stage(rest, signal)
    if (!this.#options.lookup.isThere(staged.digest)) await staged.publish()
    return staged.digest
  }

  async #writeStream(digest: Digest, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    if (digest.sizeBytes > BATCH_BLOB_BYTES) return this.#writeLarge(digest, bytes, signal)
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { expectedBytes: digest.sizeBytes, signal })
    if (whole === undefined) return this.#writeLarge(digest, rest, signal)
    refuseOther(digest, digestOf(whole))
    if (!this.#options.lookup.isThere(digest)) await this.#options.writer.write(digest, whole)
  }

  async #writeLarge(digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    await using staged = await this.#stage(bytes, signal)
    refuseOther(digest, staged.digest)
    if (!this.#options.lookup.isThere(digest)) await staged.publish()
  }

  async #stage(bytes: Bytes, signal?: AbortSignal): Promise<StagedBlob> {
    if (this.#options.chunking === 'fastcdc') {
      const { stageChunked } = await import('./chunked-writer.ts')
      const isThere = (digest: Digest) => this.#options.lookup.isThere(digest)
      return stageChunked({ ...this.#options, isThere }, bytes instanceof Uint8Array ? once(bytes) : bytes, signal)
    }
    const { stageLargeBlob } = await import('./large-blob-writer.ts')
    return stageLargeBlob(this.#options, bytes, signal)
  }

  #refuseReadOnly(): void {
    if (!this.#options.readOnly) return
    throw new CacheError('store.read-only', 'Nothing was kept: the cache is open for reading only.')
  }
}

function refuseOther(said: Digest, found: Digest): void {
  if (said.hash === found.hash && said.sizeBytes === found.sizeBytes) return
  throw new CacheError('store.corrupt', `The bytes are not those of blob ${said.hash}: they are ${found.hash}.`, {
    context: { expected: said.hash, found: found.hash },
  })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
