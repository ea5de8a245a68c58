import { type Digest, EMPTY_DIGEST, sameDigest } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { CacheError } from '../../../errors.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../../contracts.ts'
import { head } from '../../head.ts'
import { openBytes, sliced } from '../../open-bytes.ts'
import { notTheBlob } from '../checked-pieces.ts'
import { otherBytes } from '../connection-fault.ts'
import { readAhead } from '../read-ahead.ts'
import type { RedisClient } from './redis-client.ts'
import { numberIn, requireOk, valueIn } from './redis-fault.ts'
import { blobKey } from './redis-keys.ts'
import type { Touches } from './touches.ts'

const AHEAD = { mostBytes: 8 << 20, mostBlobs: 1000 }
const NOTHING = new Uint8Array(0)

/**
 * Small blobs in a Redis, each a value. One that is larger than `mostBlobBytes` is not there, and not taken (`store.too-large`).
 * What Redis evicts or lets expire is missing; `missing` renews the time that what it finds is kept.
 */
export function redisBlobs(client: RedisClient, touches: Touches): BlobStore & Ingest {
  return new RedisBlobs(client, touches)
}

class RedisBlobs implements BlobStore, Ingest {
  readonly #client: RedisClient
  readonly #touches: Touches

  constructor(client: RedisClient, touches: Touches) {
    this.#client = client
    this.#touches = touches
  }

  async missing(_scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const isThere = await Promise.all(digests.map((digest) => this.#has(digest, signal)))
    return digests.filter((_, index) => !isThere[index])
  }

  async read(_scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    options.signal?.throwIfAborted()
    if (isEmpty(digest)) return openBytes(NOTHING)
    if (!this.#isKept(digest)) return undefined
    const key = blobKey(digest)
    const { server } = this.#client
    const reply = this.#client.ask({ args: ['GET', key], bytes: digest.sizeBytes }, options.signal)
    void this.#touch(key)
    const bytes = valueIn(server, await reply)
    if (bytes?.length !== digest.sizeBytes) {
      this.#touches.forget(key)
      return undefined
    }
    const found = digestOf(bytes).hash
    if (found === digest.hash) return openBytes(sliced(bytes, options))
    // Else `missing` would say that it is there, and nobody would ever bring the right one.
    void this.#client.ask({ args: ['DEL', key] }).catch(() => undefined)
    return failing(otherBytes(server, digest.hash, `the bytes of ${found}`))
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#client.server
    return readAhead({ read: this.read.bind(this), place }, scope, digests, AHEAD, signal)
  }

  async write(_scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#isKept(digest)) throw this.#tooLarge()
    await this.#set(digest, bytes instanceof Uint8Array ? bytes : await this.#whole(digest, bytes, signal), signal)
  }

  async ingest(_scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    const { whole, rest } = await head(bytes, this.#client.server.mostBlobBytes, { signal })
    if (whole === undefined) {
      for await (const _ of rest) break
      throw this.#tooLarge()
    }
    const digest = digestOf(whole)
    await this.#set(digest, whole, signal)
    return digest
  }

  /** There as `read` would find it, but for its hash: what has another length is damaged. */
  async #has(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    if (isEmpty(digest)) return true
    if (!this.#isKept(digest)) return false
    const key = blobKey(digest)
    const [length, touched] = await Promise.all([
      this.#client.ask({ args: ['STRLEN', key] }, signal),
      this.#touch(key, signal),
    ])
    // Between the two its time may have come.
    const isThere = numberIn(this.#client.server, length) === digest.sizeBytes && touched !== 0
    if (!isThere) this.#touches.forget(key)
    return isThere
  }

  async #set(digest: Digest, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (isEmpty(digest)) return
    const { server } = this.#client
    const key = blobKey(digest)
    const args = ['SET', key, bytes, 'PX', server.ttlMs]
    requireOk(server, await this.#client.ask({ args, bytes: bytes.length }, signal))
    this.#touches.due(key)
  }

  /** All of a stream that is what its digest says. */
  async #whole(digest: Digest, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array> {
    const { whole, rest } = await head(bytes, digest.sizeBytes, { expectedBytes: digest.sizeBytes, signal })
    if (whole === undefined) {
      for await (const _ of rest) break
      throw notTheBlob(digest.hash, `more than ${digest.sizeBytes} bytes`)
    }
    const found = digestOf(whole)
    if (!sameDigest(found, digest)) throw notTheBlob(digest.hash, `those of ${found.hash}`)
    return whole
  }

  /** Beside what is asked for; whatever becomes of it. */
  async #touch(key: string, signal?: AbortSignal): Promise<unknown> {
    const command = this.#touches.due(key)
    return command && this.#client.ask(command, signal).catch(() => undefined)
  }

  #isKept({ sizeBytes }: Digest): boolean {
    return sizeBytes <= this.#client.server.mostBlobBytes
  }

  #tooLarge(): CacheError {
    const { place, mostBlobBytes } = this.#client.server
    return new CacheError('store.too-large', `${place} keeps no blobs of more than ${mostBlobBytes} bytes.`, {
      hint: 'Keep blobs elsewhere (S3), and action results there; or write ?max-blob=4MiB behind its address.',
      context: { server: place, mostBlobBytes },
    })
  }
}

function isEmpty(digest: Digest): boolean {
  return sameDigest(digest, EMPTY_DIGEST)
}

function failing(error: unknown): OpenBytes {
  return {
    // biome-ignore lint/correctness/useYield: what is wrong is told where the bytes would be.
    async *[Symbol.asyncIterator]() {
      throw error
    },
    async [Symbol.asyncDispose]() {},
  }
}
