import type { Wanted } from './batch-read.ts'
import type { OpenPack } from './open-pack.ts'
import type { RecordPlace } from './segment.ts'

/** Packs hold 128 KiB, or one blob. */
const MOST_PACKS = 16

/**
 * The packs that single blobs were read from lately: what was kept together is mostly asked for together, also by those who
 * ask for one blob at a time. A record's bytes never change, and a place is never used twice, so there is nothing to forget.
 */
export class RecentPacks {
  readonly #packs = new Map<string, OpenPack>()

  find({ digest, place }: Wanted): Uint8Array | undefined {
    return this.#packs.get(nameOf(place.record))?.member(place.ordinal, digest.hash)
  }

  add(place: RecordPlace, pack: OpenPack): void {
    if (pack.count < 2) return
    this.#packs.set(nameOf(place), pack)
    if (this.#packs.size > MOST_PACKS) this.#packs.delete(this.#packs.keys().next().value as string)
  }
}

function nameOf({ segment, offset }: RecordPlace): string {
  return `${segment} ${offset}`
}
