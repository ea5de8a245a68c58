import type { Digest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { refusalOf } from './faults.ts'
import { Feed } from './feed.ts'

/** The right to give an upload its bytes: the latest call that asked for it has it. */
export interface UploadTurn {
  /**
   * Done when the store takes more. `offset` is at most what has come; of that nothing is taken again: it is the same
   * content, or the digest will tell. Throws what the store refuses, INVALID_ARGUMENT for too much, ABORTED when another call has the turn.
   */
  give(offset: number, data: Uint8Array): Promise<void>
  /** Done when the blob is kept. Throws INVALID_ARGUMENT when that is not what came. */
  finish(): Promise<void>
  /** Nobody else has the turn. */
  readonly isLatest: boolean
}

/**
 * A large blob on its way into the store, which a broken stream does not end: the store goes on waiting for the rest, its
 * part staged on the disk, until another call brings it or the upload is dropped.
 */
export class Upload {
  readonly #digest: Digest
  readonly #feed = new Feed()
  readonly #kept: Promise<void>
  #receivedBytes = 0
  #turns = 0
  #giving: Promise<void> | undefined

  constructor(digest: Digest, keep: (bytes: AsyncIterable<Uint8Array>) => Promise<void>) {
    this.#digest = digest
    this.#kept = keep(this.#feed)
    this.#kept.then(
      () => this.#feed.fail(new GrpcStatus(GrpcCode.ABORTED, 'The upload has ended.')),
      (error: unknown) => this.#feed.fail(error),
    )
  }

  /** From the first byte, with no gap. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Takes the turn from who has it. */
  begin(): UploadTurn {
    const turn = ++this.#turns
    const isLatest = () => turn === this.#turns
    return {
      give: (at, data) => this.#give(at, data, isLatest),
      finish: () => this.#finish(isLatest),
      get isLatest() {
        return isLatest()
      },
    }
  }

  /** Ends it with nothing kept; done when nothing is left of it. */
  async drop(why: GrpcStatus): Promise<void> {
    this.#feed.fail(why)
    await this.#kept.catch(() => undefined)
  }

  async #give(offset: number, data: Uint8Array, isLatest: () => boolean): Promise<void> {
    // What the call before gave last may be on its way yet.
    while (isLatest() && this.#giving !== undefined) await this.#giving.catch(() => undefined)
    refuseOvertaken(isLatest)
    const fresh = data.subarray(Math.min(this.#receivedBytes - offset, data.length))
    if (fresh.length === 0) return
    if (this.#receivedBytes + fresh.length > this.#digest.sizeBytes) throw otherSize('more', this.#digest)
    this.#receivedBytes += fresh.length
    this.#giving = this.#feed.give(fresh)
    try {
      await this.#giving
    } catch (error) {
      throw refusalOf(error)
    } finally {
      this.#giving = undefined
    }
  }

  async #finish(isLatest: () => boolean): Promise<void> {
    refuseOvertaken(isLatest)
    if (this.#receivedBytes < this.#digest.sizeBytes) throw otherSize('fewer', this.#digest)
    this.#feed.end()
    try {
      await this.#kept
    } catch (error) {
      throw refusalOf(error)
    }
  }
}

export function otherSize(what: 'more' | 'fewer', { hash, sizeBytes }: Digest): GrpcStatus {
  return new GrpcStatus(
    GrpcCode.INVALID_ARGUMENT,
    `There are ${what} bytes than the ${sizeBytes} of blob ${hash} that were announced.`,
  )
}

function refuseOvertaken(isLatest: () => boolean): void {
  if (!isLatest()) throw new GrpcStatus(GrpcCode.ABORTED, 'Another call goes on with this upload.')
}
