import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../../contracts.ts'
import { openBytes } from '../../open-bytes.ts'
import { MOST_CONNECTIONS } from '../http/http-client.ts'
import { ingestBlob, keepBlob } from '../new-blob.ts'
import { readAhead } from '../read-ahead.ts'
import { verified } from '../verified.ts'
import type { Bucket } from './bucket.ts'
import { NewBlobs } from './new-blobs.ts'

const AHEAD = { mostBytes: 16 << 20, mostBlobs: MOST_CONNECTIONS }

/** The blobs of a bucket, an object for each. All instances share them. */
export class S3Blobs implements BlobStore, Ingest {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async missing(_: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const { stored } = this.#bucket
    const isMissing: boolean[] = []
    const left = digests.entries()
    const look = async () => {
      for (const [index, digest] of left)
        isMissing[index] = !isEmpty(digest) && (await stored.look(digest, signal)) === undefined
    }
    await Promise.all(Array.from({ length: Math.min(MOST_CONNECTIONS, digests.length) }, look))
    return digests.filter((_, index) => isMissing[index])
  }

  async read(_: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    const { signal } = options
    signal?.throwIfAborted()
    if (isEmpty(digest)) return openBytes(NOTHING)
    const { stored, tmpDir } = this.#bucket
    const found = await stored.open(digest, signal)
    if (found === undefined) return undefined
    const wrong = (what: string) => stored.damaged(digest, what)
    const iterator = verified(stored.contentOf(digest, found), digest, { ...options, tmpDir, wrong })
    return {
      [Symbol.asyncIterator]: () => iterator,
      // A generator that never started has no `finally` to run.
      [Symbol.asyncDispose]: async () => {
        await found[Symbol.asyncDispose]()
        await iterator.return(undefined)
      },
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#bucket.client.address
    return readAhead({ read: this.read.bind(this), place }, scope, digests, AHEAD, signal)
  }

  async write(_: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return keepBlob(new NewBlobs(this.#bucket, signal), digest, bytes, signal)
  }

  async ingest(_: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return ingestBlob(new NewBlobs(this.#bucket, signal), bytes, this.#bucket.tmpDir, signal)
  }
}

const NOTHING = new Uint8Array(0)

function isEmpty({ hash, sizeBytes }: Digest): boolean {
  return sizeBytes === 0 && hash === EMPTY_DIGEST.hash
}
