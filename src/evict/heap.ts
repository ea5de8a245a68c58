import type { Held } from './keyed-policy.ts'
import type { Evictable } from './policy.ts'

/** An entry that stands in a heap. */
export class Ranked<K> implements Held<K> {
  readonly key: K
  sizeBytes: number
  costMs: number
  uses = 1
  /** The lowest leaves first; among equals the one that was used first. */
  rank = 0
  lastUse = 0
  place = -1

  constructor({ key, sizeBytes, costMs }: Evictable<K>) {
    this.key = key
    this.sizeBytes = sizeBytes
    this.costMs = costMs
  }

  resize(sizeBytes: number): void {
    this.sizeBytes = sizeBytes
  }
}

/** A binary heap whose entries know their place in it, so that each can move or leave in O(log n). */
export class Heap<K> {
  readonly #entries: Ranked<K>[] = []

  get lowest(): Ranked<K> | undefined {
    return this.#entries[0]
  }

  push(entry: Ranked<K>): void {
    this.#put(entry, this.#entries.length)
    this.#rise(entry)
  }

  /** After a change of its rank. */
  moved(entry: Ranked<K>): void {
    this.#rise(entry)
    this.#sink(entry)
  }

  take(entry: Ranked<K>): void {
    const last = this.#entries.pop() as Ranked<K>
    if (last !== entry) {
      this.#put(last, entry.place)
      this.moved(last)
    }
    entry.place = -1
  }

  #rise(entry: Ranked<K>): void {
    let at = entry.place
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#entries[above] as Ranked<K>
      if (!isBefore(entry, parent)) break
      this.#put(parent, at)
      at = above
    }
    this.#put(entry, at)
  }

  #sink(entry: Ranked<K>): void {
    const entries = this.#entries
    let at = entry.place
    for (let below = 2 * at + 1; below < entries.length; below = 2 * at + 1) {
      let child = entries[below] as Ranked<K>
      const other = entries[below + 1]
      if (other !== undefined && isBefore(other, child)) child = other
      if (!isBefore(child, entry)) break
      const childAt = child.place
      this.#put(child, at)
      at = childAt
    }
    this.#put(entry, at)
  }

  #put(entry: Ranked<K>, place: number): void {
    this.#entries[place] = entry
    entry.place = place
  }
}

function isBefore<K>(a: Ranked<K>, b: Ranked<K>): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.lastUse < b.lastUse)
}
