import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import { digestOf, streamDigest } from '../../../digest/sha256.ts'
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
import { head } from '../../head.ts'
import { reportCorruption } from '../../local/corrupt.ts'
import { bytesOf } from '../../nameless-file.ts'
import { openBytes, sliced } from '../../open-bytes.ts'
import { otherBytes } from '../connection-fault.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { spooled, verified } from '../verified.ts'
import type { ArrivedBlobs } from './arrived-blobs.ts'
import { BatchQueue } from './batch-queue.ts'
import { download, notTheBlob, upload } from './byte-stream.ts'
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
    try {
      for (let at = 0; at < asked.length; at += mostItems) {
        const digestFunction = DigestFunction_Value.SHA256
        const request = { instanceName: instance, blobDigests: asked.slice(at, at + mostItems), digestFunction }
        const { missingBlobDigests } = await channel.unary(FIND_MISSING, request, signal)
        for (const digest of missingBlobDigests) missing.add(keyOf(digest))
      }
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

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    signal?.throwIfAborted()
    /** Read ahead of who takes them, as far as memory allows. */
    const ahead: Promise<BatchEntry>[] = []
    let aheadBytes = 0
    const control = new AbortController()
    const either = signal === undefined ? control.signal : AbortSignal.any([signal, control.signal])
    try {
      for (const [index, digest] of digests.entries()) {
        const entry = this.#whole(scope, digest, either).then((bytes) => ({ index, bytes }))
        entry.catch(() => undefined)
        ahead.push(entry)
        aheadBytes += digest.sizeBytes
        while (aheadBytes > MOST_AHEAD_BYTES && ahead.length > 1) {
          const first = await (ahead.shift() as Promise<BatchEntry>)
          aheadBytes -= digests[first.index]?.sizeBytes ?? 0
          yield first
        }
      }
      for (const entry of ahead.splice(0)) yield await entry
    } finally {
      control.abort()
    }
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (bytes instanceof Uint8Array) return this.#writeBytes(scope, digest, bytes, signal)
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, signal === undefined ? {} : { signal })
    if (whole === undefined) return upload(this.#options.channel, scope.instance, digest, rest, signal)
    const found = digestOf(whole)
    if (found.hash !== digest.hash || found.sizeBytes !== digest.sizeBytes)
      throw notTheBlob(digest.hash, `those of ${found.hash}`)
    return this.#writeBytes(scope, digest, whole, signal)
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, signal === undefined ? {} : { signal })
    if (whole !== undefined) {
      const digest = digestOf(whole)
      await this.#writeBytes(scope, digest, whole, signal)
      return digest
    }
    const named = streamDigest()
    await using file = await spooled(
      passing(rest, (piece) => named.update(piece), signal),
      this.#options.tmpDir,
    )
    const digest = named.digest()
    await upload(this.#options.channel, scope.instance, digest, bytesOf(file), signal)
    return digest
  }

  /** As it is known before anything is asked, where it is clearly large. */
  async #isSmall({ instance }: Scope, { sizeBytes }: Digest, signal?: AbortSignal): Promise<boolean> {
    if (sizeBytes > BATCH_BLOB_BYTES) return false
    return sizeBytes <= (await this.#options.capabilities.get(instance, signal)).batch.mostBytes
  }

  async #writeBytes(scope: Scope, digest: Digest, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (isEmpty(digest)) return
    if (await this.#isSmall(scope, digest, signal))
      await this.#writes.ask(newBlob(scope.instance, digest, bytes), signal)
    else await upload(this.#options.channel, scope.instance, digest, once(bytes), signal)
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

  /** Undefined also where it is damaged, which is told on the channel for that. */
  async #whole(scope: Scope, digest: Digest, signal: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      await using bytes = await this.read(scope, digest, { signal })
      if (bytes === undefined) return undefined
      const pieces: Uint8Array[] = []
      for await (const piece of bytes) pieces.push(piece)
      return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    } catch (error) {
      if (!isCacheError(error) || error.code !== 'store.corrupt') throw error
      reportCorruption('a blob of a remote cache', `${this.#options.channel.server.place}: ${digest.hash}`)
      return undefined
    }
  }
}

/** Four calls' worth. */
const MOST_AHEAD_BYTES = 16 << 20
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

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function* passing(
  source: AsyncIterable<Uint8Array>,
  see: (piece: Uint8Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    signal?.throwIfAborted()
    see(piece)
    yield piece
  }
}
