import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import { isCacheError } from '../../../errors.ts'
import { DigestFunction_Value } from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import {
  BATCH_BLOB_BYTES,
  type BatchEntry,
  type BlobStore,
  type Bytes,
  type Ingest,
  type OpenBytes,
  type ReadOptions,
  type Scope,
} from '../../contracts.ts'
import { openBytes, sliced } from '../../open-bytes.ts'
import { otherBytes } from '../connection-fault.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { ingestBlob, keepBlob, once, type Send } from '../new-blob.ts'
import { readAhead } from '../read-ahead.ts'
import { verified } from '../verified.ts'
import type { ArrivedBlobs } from './arrived-blobs.ts'
import { BatchQueue } from './batch-queue.ts'
import { download, upload } from './byte-stream.ts'
import type { AskedCapabilities } from './capabilities.ts'
import { FIND_MISSING } from './reapi-methods.ts'
import { keyOf, type NewBlob, newBlob, readSmall, type SmallBlob, smallBlob, writeSmall } from './small-blobs.ts'
import { statusFault } from './status-fault.ts'

export interface ReapiOptions {
  readonly channel: GrpcChannel
  readonly capabilities: AskedCapabilities
  readonly arrived: ArrivedBlobs
  readonly tmpDir: string | undefined
}

/** The blobs of a server. Small ones that are asked for or kept at about the same time share a call. */
export function reapiBlobs(options: ReapiOptions): BlobStore & Ingest {
  return new ReapiBlobs(options)
}

class ReapiBlobs implements BlobStore, Ingest {
  readonly #options: ReapiOptions
  readonly #reads: BatchQueue<SmallBlob, Uint8Array | undefined>
  readonly #writes: BatchQueue<NewBlob, true>

  constructor(options: ReapiOptions) {
    this.#options = options
    const { channel } = options
    const limits = async (instance: string) => (await options.capabilities.get(instance)).batch
    this.#reads = new BatchQueue(limits, (blobs, signal) => readSmall(channel, blobs, signal))
    this.#writes = new BatchQueue(limits, (blobs, signal) => writeSmall(channel, blobs, signal))
  }

  async missing({ instance }: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const asked = digests.filter((digest) => !isEmpty(digest))
    if (asked.length === 0) return []
    const { channel, capabilities } = this.#options
    const { mostItems } = (await capabilities.get(instance, signal)).batch
    const missing = new Set<string>()
    const ask = async (blobDigests: Digest[]) => {
      const request = { instanceName: instance, blobDigests, digestFunction: DigestFunction_Value.SHA256 }
      const answer = await channel.unary(FIND_MISSING, request, signal)
      for (const digest of answer.missingBlobDigests) missing.add(keyOf(digest))
    }
    const calls: Promise<void>[] = []
    for (let at = 0; at < asked.length; at += mostItems) calls.push(ask(asked.slice(at, at + mostItems)))
    try {
      await Promise.all(calls)
    } catch (error) {
      throw statusFault(channel.server, error)
    }
    return digests.filter((digest) => missing.has(keyOf(digest)))
  }

  async read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    const { signal } = options
    signal?.throwIfAborted()
    if (isEmpty(digest)) return openBytes(NOTHING)
    if (!(await this.#isSmall(scope, digest, signal))) return this.#readLarge(scope, digest, options)
    try {
      const bytes =
        this.#options.arrived.get(digest) ?? (await this.#reads.ask(smallBlob(scope.instance, digest), signal))
      return bytes && openBytes(sliced(bytes, options))
    } catch (error) {
      if (isCacheError(error) && error.code === 'store.corrupt') return failing(error)
      throw error
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#options.channel.server
    return readAhead({ read: this.read.bind(this), place }, scope, digests, AHEAD, signal)
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return keepBlob(this.#send(scope, signal), digest, bytes, signal)
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return ingestBlob(this.#send(scope, signal), bytes, this.#options.tmpDir, signal)
  }

  #send(scope: Scope, signal: AbortSignal | undefined): Send {
    const { instance } = scope
    const large: Send['large'] = (digest, bytes) => upload(this.#options.channel, instance, digest, bytes, signal)
    const small: Send['small'] = async (digest, bytes) => {
      if (!(await this.#isSmall(scope, digest, signal))) return large(digest, once(bytes))
      await this.#writes.ask(newBlob(instance, digest, bytes), signal)
    }
    return { small, large }
  }

  /** As it is known before anything is asked, where it is clearly large. */
  async #isSmall({ instance }: Scope, { sizeBytes }: Digest, signal?: AbortSignal): Promise<boolean> {
    if (sizeBytes > BATCH_BLOB_BYTES) return false
    return sizeBytes <= (await this.#options.capabilities.get(instance, signal)).batch.mostBytes
  }

  async #readLarge(scope: Scope, digest: Digest, options: ReadOptions): Promise<OpenBytes | undefined> {
    const { channel, tmpDir } = this.#options
    const found = await download(channel, scope.instance, digest, options.signal)
    if (found === undefined) return undefined
    const wrong = (what: string) => otherBytes(channel.server, digest.hash, what)
    const iterator = verified(found.bytes, digest, { ...options, tmpDir, wrong })
    return {
      [Symbol.asyncIterator]: () => iterator,
      // A generator that never started has no `finally` to run.
      [Symbol.asyncDispose]: async () => {
        found.cancel()
        await iterator.return(undefined)
      },
    }
  }
}

/** Four calls' worth. */
const AHEAD = { mostBytes: 16 << 20, mostBlobs: 10_000 }
const NOTHING = new Uint8Array(0)

function isEmpty({ hash, sizeBytes }: Digest): boolean {
  return sizeBytes === 0 && hash === EMPTY_DIGEST.hash
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
