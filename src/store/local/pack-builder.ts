import type { Digest } from '../../digest/digest.ts'

/**
 * Content bytes that a pack aims at: a frame of 128 KiB compresses nearly as well as a large one, and one blob is read in
 * 0.2 ms. Handing a frame to another thread takes 50 us, a third of compressing one of 64 KiB.
 */
export const PACK_BYTES = 128 << 10
/** Blobs larger than this are a record of their own. */
export const PACK_MEMBER_BYTES = PACK_BYTES / 2

/** Small blobs, one after the other, that become one record. */
export interface Pack {
  readonly digests: readonly Digest[]
  readonly content: Uint8Array
  /** The buffer that was made for `content`, if one was. */
  readonly own?: Buffer | undefined
}

/**
 * Gathers small blobs. Those that lie one after the other in the caller's memory are not copied, so all of it must stay as
 * it is until the pack is written.
 */
export class PackBuilder {
  #content: Uint8Array | undefined
  readonly #spare: Buffer[]
  /** Copies: made when a blob does not follow the one before. */
  #own: Buffer | undefined
  #digests: Digest[] = []
  #used = 0

  /** `spare`: buffers of {@link PACK_BYTES} to use first; {@link Pack.own} may come back into it. */
  constructor(spare: Buffer[] = []) {
    this.#spare = spare
  }

  hasRoom(bytes: number): boolean {
    return this.#used + bytes <= PACK_BYTES && this.#digests.length < MOST_MEMBERS
  }

  add(digest: Digest, bytes: Uint8Array): void {
    if (this.#own === undefined && (this.#content === undefined || follows(bytes, this.#content))) {
      const start = this.#content ?? bytes
      this.#content = new Uint8Array(start.buffer, start.byteOffset, this.#used + bytes.length)
    } else this.#copy(bytes)
    this.#used += bytes.length
    this.#digests.push(digest)
  }

  #copy(bytes: Uint8Array): void {
    if (this.#own === undefined) {
      this.#own = this.#spare.pop() ?? Buffer.allocUnsafeSlow(PACK_BYTES)
      if (this.#content !== undefined) this.#own.set(this.#content)
    }
    this.#own.set(bytes, this.#used)
    this.#content = this.#own.subarray(0, this.#used + bytes.length)
  }

  /** What was gathered, which begins anew; undefined when there is nothing. */
  take(): Pack | undefined {
    if (this.#content === undefined) return undefined
    const pack = { digests: this.#digests, content: this.#content, own: this.#own }
    this.#content = undefined
    this.#own = undefined
    this.#digests = []
    this.#used = 0
    return pack
  }
}

function follows(bytes: Uint8Array, before: Uint8Array): boolean {
  return bytes.buffer === before.buffer && bytes.byteOffset === before.byteOffset + before.byteLength
}

/** Their number in a pack is kept in 16 bits. */
const MOST_MEMBERS = 60_000
