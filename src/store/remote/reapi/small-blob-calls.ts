import type { Digest } from '../../../digest/digest.ts'
import { BATCH_BLOB_BYTES } from '../../contracts.ts'
import type { Compression } from '../../local/compression.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { type BatchLimits, BatchQueue } from './batch-queue.ts'
import type { AskedCapabilities } from './capabilities.ts'
import {
  type CameBlob,
  FRAME_FROM_BYTES,
  type NewBlob,
  newBlob,
  readSmall,
  type SmallBlob,
  smallBlob,
  writeSmall,
} from './small-blobs.ts'

const MOST_WRITES = 4
/** Answers of this size, so many at once: the first comes soon, and what has come is looked at while the rest is on its way. */
const READ_BYTES = 1 << 20
const MOST_READS = 8
/** Before the server has said how much it takes: few take less. */
const FIRST_LIMITS: BatchLimits = { mostBytes: READ_BYTES, mostItems: 1_000 }

function readLimits({ mostBytes, mostItems }: BatchLimits): BatchLimits {
  return { mostBytes: Math.min(mostBytes, READ_BYTES), mostItems }
}

/** Small blobs that are asked for or kept at about the same time share a call. */
export class SmallBlobCalls {
  readonly #channel: GrpcChannel
  readonly #capabilities: AskedCapabilities
  readonly #compression: Compression
  readonly #reads: BatchQueue<SmallBlob, CameBlob | undefined>
  readonly #writes: BatchQueue<NewBlob, true>

  constructor(channel: GrpcChannel, capabilities: AskedCapabilities, compression: Compression) {
    this.#capabilities = capabilities
    this.#compression = compression
    this.#channel = channel
    this.#reads = new BatchQueue({
      limits: (instance) => readLimits(capabilities.known(instance)?.batch ?? FIRST_LIMITS),
      send: (blobs, signal) => this.#read(blobs, signal),
      mostCalls: MOST_READS,
    })
    this.#writes = new BatchQueue({
      limits: async (instance) => (await capabilities.get(instance)).batch,
      send: (blobs, signal) => writeSmall(channel, blobs, signal),
      mostCalls: MOST_WRITES,
    })
  }

  /** Whether a call can hold it; as it is known before anything is asked, where it is clearly large. */
  async takes(instance: string, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    return (
      this.surelyTakes(instance, digest) ??
      digest.sizeBytes <= (await this.#capabilities.get(instance, signal)).batch.mostBytes
    )
  }

  /** The same without asking; undefined where that does not tell. */
  surelyTakes(instance: string, { sizeBytes }: Digest): boolean | undefined {
    if (sizeBytes > BATCH_BLOB_BYTES) return false
    const known = this.#capabilities.known(instance)
    if (known !== undefined) return sizeBytes <= known.batch.mostBytes
    return sizeBytes < FRAME_FROM_BYTES ? true : undefined
  }

  read(instance: string, digest: Digest, signal?: AbortSignal): Promise<CameBlob | undefined> {
    return this.#reads.ask(smallBlob(instance, digest), signal)
  }

  /** `frames`, where the caller has them: they hold the bytes. */
  async write(
    instance: string,
    digest: Digest,
    bytes: Uint8Array,
    signal?: AbortSignal,
    frames?: Uint8Array,
  ): Promise<void> {
    const { takesZstdBatches } = await this.#capabilities.get(instance, signal)
    const smaller = takesZstdBatches ? (frames ?? (await this.#compressed(bytes))) : undefined
    const isSmaller = smaller !== undefined && smaller.length < bytes.length
    await this.#writes.ask(newBlob(instance, digest, bytes, isSmaller ? smaller : undefined), signal)
  }

  /** What the server can is asked at the same time where it is not known; then all is asked again of one that takes less at once. */
  async #read(blobs: readonly SmallBlob[], signal: AbortSignal): Promise<(CameBlob | undefined | Error)[]> {
    const instance = blobs[0]?.group ?? ''
    const known = this.#capabilities.known(instance)
    const read = (some: readonly SmallBlob[]) => readSmall(this.#channel, some, known?.hasZstd ?? false, signal)
    const answers = read(blobs)
    if (known !== undefined) return answers
    // Whether the server is of use is said first.
    answers.catch(() => undefined)
    const { mostBytes } = (await this.#capabilities.get(instance, signal)).batch
    if (blobs.reduce((sum, { bytes }) => sum + bytes, 0) <= mostBytes) return answers
    return (await Promise.all(blobs.map((blob) => read([blob])))).flat()
  }

  async #compressed(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    if (bytes.length < FRAME_FROM_BYTES) return undefined
    const { codec, stored } = await this.#compression.encode(bytes)
    return codec === 'zstd' ? stored : undefined
  }
}
