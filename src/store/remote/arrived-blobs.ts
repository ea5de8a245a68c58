import type { Digest } from '../../digest/digest.ts'
import { sha256Hex } from '../../digest/sha256.ts'

/** As much as comes with two results at most. */
const MOST_BYTES = 8 << 20

/** Blobs that came within action results, until somebody reads them or newer ones come. */
export class ArrivedBlobs {
  readonly #blobs = new Map<string, Uint8Array>()
  #bytes = 0

  /** False, and nothing kept, where the bytes are not the blob. */
  add({ hash, sizeBytes }: Digest, bytes: Uint8Array): boolean {
    if (bytes.length !== sizeBytes || sha256Hex(bytes) !== hash) return false
    if (!this.#blobs.has(hash)) this.#bytes += sizeBytes
    this.#blobs.delete(hash)
    // Copied: a view would hold the whole message.
    this.#blobs.set(hash, new Uint8Array(bytes))
    for (const [oldest, { length }] of this.#blobs) {
      if (this.#bytes <= MOST_BYTES) break
      this.#blobs.delete(oldest)
      this.#bytes -= length
    }
    return true
  }

  get({ hash, sizeBytes }: Digest): Uint8Array | undefined {
    const bytes = this.#blobs.get(hash)
    return bytes?.length === sizeBytes ? bytes : undefined
  }
}
