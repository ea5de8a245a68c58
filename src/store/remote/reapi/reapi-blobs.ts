import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import { isCacheError } from '../../../errors.ts'
import { DigestFunction_Value } from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../../contracts.ts'
import { openBytes, sliced } from '../../open-bytes.ts'
import type { ArrivedBlobs } from '../arrived-blobs.ts'
import { otherBytes } from '../connection-fault.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { ingestBlob, keepBlob, once, type Send } from '../new-blob.ts'
import { readAhead } from '../read-ahead.ts'
import { verified } from '../verified.ts'
import type { AskedCapabilities } from './capabilities.ts'
import type { LargeBlobCalls } from './large-blob-calls.ts'
import { FIND_MISSING } from './reapi-methods.ts'
import type { SmallBlobCalls } from './small-blob-calls.ts'
import { keyOf } from './small-blobs.ts'
import { statusFault } from './status-fault.ts'

export interface ReapiOptions {
  readonly channel: GrpcChannel
  readonly capabilities: AskedCapabilities
  readonly arrived: ArrivedBlobs
  readonly small: SmallBlobCalls
  readonly large: LargeBlobCalls
  readonly tmpDir: string | undefined
}

/** The blobs of a server. */
export function reapiBlobs(options: ReapiOptions): BlobStore & Ingest {
  return new ReapiBlobs(options)
}

class ReapiBlobs implements BlobStore, Ingest {
  readonly #options: ReapiOptions

  constructor(options: ReapiOptions) {
    this.#options = options
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
    const { small, arrived } = this.#options
    if (!(await small.takes(scope.instance, digest, signal))) return this.#readLarge(scope, digest, options)
    try {
      const bytes = arrived.get(digest) ?? (await small.read(scope.instance, digest, signal))?.bytes
      return bytes && openBytes(sliced(bytes, options))
    } catch (error) {
      if (isCacheError(error) && error.code === 'store.corrupt') return failing(error)
      throw error
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#options.channel.server
    const source = { read: this.read.bind(this), small: this.#small.bind(this), place }
    return readAhead(source, scope, digests, AHEAD, signal)
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return keepBlob(this.#send(scope, signal), digest, bytes, signal)
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return ingestBlob(this.#send(scope, signal), bytes, this.#options.tmpDir, signal)
  }

  /** Undefined for those of which it is not known yet, or that are large. */
  #small({ instance }: Scope, digest: Digest, signal?: AbortSignal): Promise<Uint8Array | undefined> | undefined {
    const { small, arrived } = this.#options
    if (isEmpty(digest) || small.surelyTakes(instance, digest) !== true) return undefined
    const here = arrived.get(digest)
    return here === undefined ? small.read(instance, digest, signal).then((came) => came?.bytes) : Promise.resolve(here)
  }

  #send({ instance }: Scope, signal: AbortSignal | undefined): Send {
    const { small, large } = this.#options
    return {
      large: (digest, bytes) => large.write(instance, digest, bytes, signal),
      small: async (digest, bytes) =>
        (await small.takes(instance, digest, signal))
          ? small.write(instance, digest, bytes, signal)
          : large.write(instance, digest, once(bytes), signal),
    }
  }

  async #readLarge(scope: Scope, digest: Digest, options: ReadOptions): Promise<OpenBytes | undefined> {
    const { channel, large, tmpDir } = this.#options
    const found = await large.read(scope.instance, digest, options.signal)
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
