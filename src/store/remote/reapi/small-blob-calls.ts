import type { Digest } from '../../../digest/digest.ts'
import { BATCH_BLOB_BYTES } from '../../contracts.ts'
import type { Compression } from '../../local/compression.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { BatchQueue } from './batch-queue.ts'
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

/** Small blobs that are asked for or kept at about the same time share a call. */
export class SmallBlobCalls {
  readonly #capabilities: AskedCapabilities
  readonly #compression: Compression
  readonly #reads: BatchQueue<SmallBlob, CameBlob | undefined>
  readonly #writes: BatchQueue<NewBlob, true>

  constructor(channel: GrpcChannel, capabilities: AskedCapabilities, compression: Compression) {
    this.#capabilities = capabilities
    this.#compression = compression
    const limits = async (instance: string) => (await capabilities.get(instance)).batch
    this.#reads = new BatchQueue(limits, async (blobs, signal) => {
      const { hasZstd } = await capabilities.get(blobs[0]?.group ?? '', signal)
      return readSmall(channel, blobs, hasZstd, signal)
    })
    this.#writes = new BatchQueue(limits, (blobs, signal) => writeSmall(channel, blobs, signal))
  }

  /** Whether a call can hold it; as it is known before anything is asked, where it is clearly large. */
  async takes(instance: string, { sizeBytes }: Digest, signal?: AbortSignal): Promise<boolean> {
    if (sizeBytes > BATCH_BLOB_BYTES) return false
    return sizeBytes <= (await this.#capabilities.get(instance, signal)).batch.mostBytes
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

  async #compressed(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    if (bytes.length < FRAME_FROM_BYTES) return undefined
    const { codec, stored } = await this.#compression.encode(bytes)
    return codec === 'zstd' ? stored : undefined
  }
}
