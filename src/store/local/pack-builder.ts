import type { Digest } from '../../digest/digest.ts'

/** Content bytes that a pack aims at: a frame of 64 KiB compresses nearly as well as a large one, and one blob is read in 0.1 ms. */
export const PACK_BYTES = 64 << 10
/** Blobs larger than this are a record of their own. */
export const PACK_MEMBER_BYTES = PACK_BYTES / 2

/** Small blobs, one after the other, that become one record. */
export interface Pack {
  readonly digests: readonly Digest[]
  readonly content: Uint8Array
}

/** Gathers small blobs. What is added is copied, so the caller may use its buffer again. */
export class PackBuilder {
  #content: Buffer | undefined
  #digests: Digest[] = []
  #used = 0

  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= PACK_BYTES && this.#digests.length < MOST_MEMBERS
  }

  add(digest: Digest, bytes: Uint8Array): void {
    this.#content ??= Buffer.allocUnsafeSlow(PACK_BYTES)
    this.#content.set(bytes, this.#used)
    this.#used += bytes.length
    this.#digests.push(digest)
  }

  /** What was gathered, which begins anew; undefined when there is nothing. */
  take(): Pack | undefined {
    if (this.#content === undefined) return undefined
    const pack = { digests: this.#digests, content: this.#content.subarray(0, this.#used) }
    this.#content = undefined
    this.#digests = []
    this.#used = 0
    return pack
  }
}

/** Their number in a pack is kept in 16 bits. */
const MOST_MEMBERS = 60_000
