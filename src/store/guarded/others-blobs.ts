import type { Digest } from '../../digest/digest.ts'
import type { BatchEntry, BlobStore, Bytes, OpenBytes, ReadOptions, Scope } from '../contracts.ts'

/** Blobs that lie elsewhere than what is guarded: `failed` is told of each fault of theirs before it is thrown. */
export class OthersBlobs implements BlobStore {
  readonly #inner: BlobStore
  readonly #failed: (error: unknown) => void

  constructor(inner: BlobStore, failed: (error: unknown) => void) {
    this.#inner = inner
    this.#failed = failed
  }

  missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    return this.#told(this.#inner.missing(scope, digests, signal))
  }

  async read(scope: Scope, digest: Digest, options?: ReadOptions): Promise<OpenBytes | undefined> {
    const bytes = await this.#told(this.#inner.read(scope, digest, options))
    if (bytes === undefined) return undefined
    return {
      [Symbol.asyncIterator]: () => this.#each(bytes),
      [Symbol.asyncDispose]: () => bytes[Symbol.asyncDispose](),
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncIterable<BatchEntry> {
    return this.#each(this.#inner.readBatch(scope, digests, signal))
  }

  write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    return this.#told(this.#inner.write(scope, digest, bytes, signal))
  }

  async *#each<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* items
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }

  async #told<T>(call: Promise<T>): Promise<T> {
    try {
      return await call
    } catch (error) {
      this.#failed(error)
      throw error
    }
  }
}
