import type { Held } from './keyed-policy.ts'
import type { Evictable } from './policy.ts'

/** An entry that stands in a heap. */
export class Ranked<K> implements Held<K> {
  readonly key: K
  sizeBytes: number
  costMs: number
  uses = 1
  /** Its place in the heap. */
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

const CHILDREN = 4

/**
 * The lowest rank first; among equals the one that was put in or moved first. Its entries know their place, so that each can
 * move or leave in O(log n). What is compared stands beside the entries in the order of the heap, four children in a
 * row: at a million entries it is the way to memory that takes the time.
 */
export class Heap<K> {
  readonly #entries: Ranked<K>[] = []
  #ranks = new Float64Array(64)
  #turns = new Float64Array(64)
  #turn = 0

  get lowest(): Ranked<K> | undefined {
    return this.#entries[0]
  }

  get lowestRank(): number {
    return this.#ranks[0] as number
  }

  push(entry: Ranked<K>, rank: number): void {
    const at = this.#entries.length
    if (at === this.#ranks.length) this.#grow()
    this.#entries.push(entry)
    this.#rise(entry, rank, ++this.#turn, at)
  }

  move(entry: Ranked<K>, rank: number): void {
    this.#settle(entry, rank, ++this.#turn, entry.place)
  }

  take(entry: Ranked<K>): void {
    const last = this.#entries.pop() as Ranked<K>
    const from = this.#entries.length
    if (last !== entry) this.#settle(last, this.#ranks[from] as number, this.#turns[from] as number, entry.place)
    entry.place = -1
  }

  #settle(entry: Ranked<K>, rank: number, turn: number, at: number): void {
    if (at > 0 && this.#isBefore(rank, turn, (at - 1) >> 2)) this.#rise(entry, rank, turn, at)
    else this.#sink(entry, rank, turn, at)
  }

  #rise(entry: Ranked<K>, rank: number, turn: number, from: number): void {
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 2
      if (!this.#isBefore(rank, turn, above)) break
      this.#shift(above, at)
      at = above
    }
    this.#put(entry, rank, turn, at)
  }

  #sink(entry: Ranked<K>, rank: number, turn: number, from: number): void {
    const { length } = this.#entries
    let at = from
    for (let first = CHILDREN * at + 1; first < length; first = CHILDREN * at + 1) {
      const least = this.#least(first, Math.min(first + CHILDREN, length))
      if (this.#isBefore(rank, turn, least)) break
      this.#shift(least, at)
      at = least
    }
    this.#put(entry, rank, turn, at)
  }

  #least(first: number, end: number): number {
    const ranks = this.#ranks
    const turns = this.#turns
    let least = first
    let rank = ranks[first] as number
    for (let at = first + 1; at < end; at++) {
      const other = ranks[at] as number
      if (other > rank || (other === rank && (turns[at] as number) > (turns[least] as number))) continue
      least = at
      rank = other
    }
    return least
  }

  #isBefore(rank: number, turn: number, at: number): boolean {
    const other = this.#ranks[at] as number
    return rank < other || (rank === other && turn < (this.#turns[at] as number))
  }

  #shift(from: number, to: number): void {
    this.#put(this.#entries[from] as Ranked<K>, this.#ranks[from] as number, this.#turns[from] as number, to)
  }

  #put(entry: Ranked<K>, rank: number, turn: number, place: number): void {
    this.#entries[place] = entry
    this.#ranks[place] = rank
    this.#turns[place] = turn
    entry.place = place
  }

  #grow(): void {
    const longer = (column: Float64Array) => {
      const grown = new Float64Array(2 * column.length)
      grown.set(column)
      return grown
    }
    this.#ranks = longer(this.#ranks)
    this.#turns = longer(this.#turns)
  }
}
