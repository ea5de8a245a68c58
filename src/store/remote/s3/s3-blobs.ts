import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import type { CacheError } from '../../../errors.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../../contracts.ts'
import { openBytes } from '../../open-bytes.ts'
import { otherBytes } from '../connection-fault.ts'
import { MOST_CONNECTIONS } from '../http/http-client.ts'
import { ingestBlob, keepBlob, type Send } from '../new-blob.ts'
import { readAhead } from '../read-ahead.ts'
import { verified } from '../verified.ts'
import { NewObjects } from './new-objects.ts'
import type { ObjectKeys } from './object-keys.ts'
import type { S3Client } from './s3-client.ts'

const AHEAD = { mostBytes: 16 << 20, mostBlobs: MOST_CONNECTIONS }
/** Of what was found damaged: they are rewritten when they come again. */
const MOST_DOUBTED = 10_000

/** The blobs of a bucket, an object for each. All instances share them. */
export class S3Blobs implements BlobStore, Ingest, AsyncDisposable {
  readonly #client: S3Client
  readonly #keys: ObjectKeys
  readonly #tmpDir: string | undefined
  readonly #objects: NewObjects
  readonly #doubted = new Set<string>()

  constructor(client: S3Client, keys: ObjectKeys, tmpDir: string | undefined) {
    this.#client = client
    this.#keys = keys
    this.#tmpDir = tmpDir
    this.#objects = new NewObjects(client)
  }

  async missing(_: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const isMissing: boolean[] = []
    const left = digests.entries()
    const ask = async () => {
      for (const [index, digest] of left) isMissing[index] = !(await this.#has(digest, signal))
    }
    await Promise.all(Array.from({ length: Math.min(MOST_CONNECTIONS, digests.length) }, ask))
    return digests.filter((_, index) => isMissing[index])
  }

  async read(_: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    const { signal } = options
    signal?.throwIfAborted()
    if (isEmpty(digest)) return openBytes(NOTHING)
    const key = this.#keys.blob(digest)
    const answer = await this.#client.ask({ method: 'GET', key, signal })
    if (answer.status === 404) {
      await answer[Symbol.asyncDispose]()
      return undefined
    }
    const wrong = (what: string) => this.#damaged(digest, what)
    const iterator = verified(answer.body, digest, { ...options, tmpDir: this.#tmpDir, wrong })
    return {
      [Symbol.asyncIterator]: () => iterator,
      // A generator that never started has no `finally` to run.
      [Symbol.asyncDispose]: async () => {
        await answer[Symbol.asyncDispose]()
        await iterator.return(undefined)
      },
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#client.address
    return readAhead({ read: this.read.bind(this), place }, scope, digests, AHEAD, signal)
  }

  async write(_: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return keepBlob(this.#send(signal), digest, bytes, signal)
  }

  async ingest(_: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return ingestBlob(this.#send(signal), bytes, this.#tmpDir, signal)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#objects[Symbol.asyncDispose]()
  }

  async #has(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    if (isEmpty(digest)) return true
    const key = this.#keys.blob(digest)
    if (this.#doubted.has(key)) return false
    await using answer = await this.#client.ask({ method: 'HEAD', key, signal })
    return answer.status !== 404
  }

  #send(signal: AbortSignal | undefined): Send {
    const objectOf = (digest: Digest) => {
      const key = this.#keys.blob(digest)
      return { key, isReplacing: this.#doubted.has(key), signal }
    }
    return {
      small: async (digest, bytes) => {
        const object = objectOf(digest)
        await this.#objects.whole(object, bytes, digest.hash)
        this.#doubted.delete(object.key)
      },
      large: async (digest, bytes) => {
        const object = objectOf(digest)
        await this.#objects.stream(object, digest, bytes)
        this.#doubted.delete(object.key)
      },
    }
  }

  #damaged(digest: Digest, what: string): CacheError {
    if (this.#doubted.size < MOST_DOUBTED) this.#doubted.add(this.#keys.blob(digest))
    return otherBytes(this.#client.server, digest.hash, what)
  }
}

const NOTHING = new Uint8Array(0)

function isEmpty({ hash, sizeBytes }: Digest): boolean {
  return sizeBytes === 0 && hash === EMPTY_DIGEST.hash
}
