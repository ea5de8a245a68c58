import { Heap, Ranked } from './heap.ts'
import { KeyedPolicy } from './keyed-policy.ts'
import type { AgeingPolicy, Evictable } from './policy.ts'

/** The lowest rank leaves first; a policy says what the rank is. O(log n) a call, about 120 bytes an entry. */
export abstract class RankedPolicy<K> extends KeyedPolicy<K, Ranked<K>> implements AgeingPolicy<K> {
  readonly #heap = new Heap<K>()
  #age: number

  constructor(age = 0) {
    super()
    this.#age = age
  }

  get age(): number {
    return this.#age
  }

  restore(entry: Evictable<K>, past: { readonly uses: number; readonly age: number }): void {
    this.remove(entry.key)
    const ranked = new Ranked(entry)
    ranked.uses = past.uses
    this.#heap.push(ranked, this.rankOf(ranked, past.age))
    this.hold(ranked)
  }

  rank(entry: Evictable<K>, past: { readonly uses: number; readonly age: number }): number {
    const ranked = new Ranked(entry)
    ranked.uses = past.uses
    return this.rankOf(ranked, past.age)
  }

  override victim(): Ranked<K> | undefined {
    return this.#heap.lowest
  }

  /** What it is worth to keep an entry that is used now, or was used at another age. */
  protected abstract rankOf(entry: Ranked<K>, age: number): number

  protected override placed(entry: Evictable<K>): Ranked<K> {
    const ranked = new Ranked(entry)
    this.#heap.push(ranked, this.rankOf(ranked, this.#age))
    return ranked
  }

  protected override used(entry: Ranked<K>): void {
    entry.uses++
    this.#heap.move(entry, this.rankOf(entry, this.#age))
  }

  protected override removed(entry: Ranked<K>): void {
    this.#heap.take(entry)
  }

  protected override evicted(victim: Ranked<K>): void {
    // Restored entries may be from before the present age.
    this.#age = Math.max(this.#age, this.#heap.lowestRank)
    this.removed(victim)
  }
}
