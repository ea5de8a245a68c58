import type { Digest } from '../../digest/digest.ts'
import { BESIDE_BLOB_BYTES } from './beside.ts'

const MOST_WRITTEN_BYTES = 8 << 20

/** Small blobs that were written last: the result that names them comes next, and they go beside it. */
export class WrittenBlobs {
  readonly #blobs = new Map<string, Uint8Array>()
  #bytes = 0

  add({ hash, sizeBytes }: Digest, bytes: Uint8Array): void {
    if (sizeBytes > BESIDE_BLOB_BYTES || this.#blobs.has(hash)) return
    // Copied: its owner may use the memory again once it is written.
    this.#blobs.set(hash, new Uint8Array(bytes))
    this.#bytes += sizeBytes
    for (const [oldest, { length }] of this.#blobs) {
      if (this.#bytes <= MOST_WRITTEN_BYTES) break
      this.#blobs.delete(oldest)
      this.#bytes -= length
    }
  }

  get({ hash }: Digest): Uint8Array | undefined {
    return this.#blobs.get(hash)
  }
}
