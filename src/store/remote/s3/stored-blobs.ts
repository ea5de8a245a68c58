import type { Digest } from '../../../digest/digest.ts'
import { type CacheError, isCacheError } from '../../../errors.ts'
import { otherBytes } from '../connection-fault.ts'
import { contentOf, noLongerThan } from '../frame-content.ts'
import type { ObjectKeys } from './object-keys.ts'
import type { S3Client } from './s3-client.ts'

/** Of what was found damaged: they are written anew when they come again. */
const MOST_DOUBTED = 10_000

/** A blob as its object holds it, on its way. */
export interface StoredBlob extends AsyncDisposable {
  /** An object that is not of the blob's size holds it as zstd frames. */
  readonly isFrames: boolean
  /** As they come, not checked. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** The objects that are blobs, and which of them were found damaged by this process. */
export class StoredBlobs {
  readonly #client: S3Client
  readonly #keys: ObjectKeys
  readonly #doubted = new Set<string>()

  constructor(client: S3Client, keys: ObjectKeys) {
    this.#client = client
    this.#keys = keys
  }

  keyOf(digest: Digest): string {
    return this.#keys.blob(digest)
  }

  /** Undefined where it is not there. */
  async open(digest: Digest, signal: AbortSignal | undefined): Promise<StoredBlob | undefined> {
    const answer = await this.#client.ask({ method: 'GET', key: this.keyOf(digest), signal })
    const close = () => answer[Symbol.asyncDispose]()
    if (answer.status === 404) {
      await close()
      return undefined
    }
    const isFrames = answer.sizeBytes !== digest.sizeBytes
    const bytes = isFrames ? noLongerThan(digest, answer.body) : answer.body
    return { isFrames, bytes, [Symbol.asyncDispose]: close }
  }

  /** What a blob holds, not checked. Throws `store.corrupt` for frames that are none. */
  async *contentOf(digest: Digest, { isFrames, bytes }: StoredBlob): AsyncGenerator<Uint8Array> {
    try {
      yield* isFrames ? contentOf(bytes) : bytes
    } catch (error) {
      throw this.found(digest, error)
    }
  }

  /** How its object holds it; undefined where it is not there, or known to be damaged. */
  async look(digest: Digest, signal: AbortSignal | undefined): Promise<'raw' | 'frames' | undefined> {
    const key = this.keyOf(digest)
    if (this.#doubted.has(key)) return undefined
    await using answer = await this.#client.ask({ method: 'HEAD', key, signal })
    if (answer.status === 404) return undefined
    return answer.sizeBytes === digest.sizeBytes ? 'raw' : 'frames'
  }

  /** What went wrong with a blob that came: where it is damaged, that is kept in mind, and said of the store. */
  found(digest: Digest, error: unknown): unknown {
    return isCacheError(error) && error.code === 'store.corrupt' ? this.damaged(digest, 'other bytes') : error
  }

  damaged(digest: Digest, what: string): CacheError {
    if (this.#doubted.size < MOST_DOUBTED) this.#doubted.add(this.keyOf(digest))
    return otherBytes(this.#client.server, digest.hash, what)
  }

  isDoubted(digest: Digest): boolean {
    return this.#doubted.has(this.keyOf(digest))
  }

  /** It was written anew. */
  trust(digest: Digest): void {
    this.#doubted.delete(this.keyOf(digest))
  }
}
