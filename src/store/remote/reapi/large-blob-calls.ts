import type { Digest } from '../../../digest/digest.ts'
import { beginsStored } from '../../local/compression/frame-reader.ts'
import type { Part } from '../../local/compression/given-frames.ts'
import type { Compression } from '../../local/compression.ts'
import { checkedFrames, chunkParts } from '../checked-frames.ts'
import { checkedPieces, piecesOf } from '../checked-pieces.ts'
import { otherThan } from '../connection-fault.ts'
import { contentIn, contentOf, noLongerThan } from '../frame-content.ts'
import type { GrpcChannel } from '../grpc/grpc-channel.ts'
import { opened } from '../opened.ts'
import { download, MESSAGE_BYTES, upload } from './byte-stream.ts'
import type { AskedCapabilities } from './capabilities.ts'

/** To take content out of frames that only hold it costs more for a blob of this size than to ask once more, for the blob itself. */
const AGAIN_FROM_BYTES = 16 << 20

/** A blob, or what a server says is one, as it comes: not checked. */
export interface LargeBlob {
  readonly isFramed: boolean
  readonly bytes: AsyncIterable<Uint8Array>
  cancel(): void
}

/** Blobs that are a call each: as zstd, where the server has it and it saves something. */
export class LargeBlobCalls {
  readonly #channel: GrpcChannel
  readonly #capabilities: AskedCapabilities
  readonly #compression: Compression

  constructor(channel: GrpcChannel, capabilities: AskedCapabilities, compression: Compression) {
    this.#channel = channel
    this.#capabilities = capabilities
    this.#compression = compression
  }

  async hasZstd(instance: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#capabilities.get(instance, signal)).hasZstd
  }

  /** The content as it comes, not checked. Undefined where it is not there. */
  async read(instance: string, digest: Digest, signal?: AbortSignal): Promise<LargeBlob | undefined> {
    const found = await this.take(instance, digest, signal)
    return found?.isFramed ? { ...found, isFramed: false, bytes: this.#contentOf(digest, found.bytes) } : found
  }

  /** The same, in frames where that saves something. */
  async take(instance: string, digest: Digest, signal?: AbortSignal): Promise<LargeBlob | undefined> {
    if (!(await this.hasZstd(instance, signal))) return this.#identity(instance, digest, signal)
    const found = await download(this.#channel, { instance, digest, compressor: 'zstd' }, signal)
    if (found === undefined) return undefined
    const { cancel } = found
    const bytes = noLongerThan(digest, found.bytes)
    if (!beginsStored(found.first)) return { isFramed: true, bytes, cancel }
    if (digest.sizeBytes < AGAIN_FROM_BYTES) return { isFramed: false, bytes: this.#contentOf(digest, bytes), cancel }
    cancel()
    return this.#identity(instance, digest, signal)
  }

  /** Keeps content that is checked on the way. */
  async write(instance: string, digest: Digest, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const hasZstd = await this.hasZstd(instance, signal)
    await using content = await opened(bytes)
    const isDense = this.#compression.isDense(content.first)
    if (hasZstd && !isDense) await this.#writeFrames(instance, digest, chunkParts(content.all), signal)
    else await this.#writeContent(instance, digest, content.all, signal)
  }

  /** Keeps content that comes in frames, or in part, checked on the way. */
  async writeParts(instance: string, digest: Digest, parts: AsyncIterable<Part>, signal?: AbortSignal): Promise<void> {
    if (await this.hasZstd(instance, signal)) await this.#writeFrames(instance, digest, parts, signal)
    else await this.#writeContent(instance, digest, contentIn(parts), signal)
  }

  async #identity(instance: string, digest: Digest, signal?: AbortSignal): Promise<LargeBlob | undefined> {
    const found = await download(this.#channel, { instance, digest, compressor: 'identity' }, signal)
    return found && { isFramed: false, bytes: found.bytes, cancel: found.cancel }
  }

  async *#contentOf(digest: Digest, frames: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* contentOf(frames)
    } catch (error) {
      throw otherThan(this.#channel.server, digest.hash, error)
    }
  }

  #writeFrames(instance: string, digest: Digest, parts: AsyncIterable<Part>, signal?: AbortSignal): Promise<void> {
    const frames = checkedFrames(digest, parts, this.#compression)
    const blob = { instance, digest, compressor: 'zstd' } as const
    return upload(this.#channel, blob, piecesOf(frames, MESSAGE_BYTES), signal)
  }

  #writeContent(
    instance: string,
    digest: Digest,
    bytes: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const blob = { instance, digest, compressor: 'identity' } as const
    return upload(this.#channel, blob, checkedPieces(digest, bytes, MESSAGE_BYTES), signal)
  }
}
