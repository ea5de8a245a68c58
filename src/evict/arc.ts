import { Ghosts } from './ghosts.ts'
import { KeyedPolicy } from './keyed-policy.ts'
import type { Evictable, EvictionPolicy } from './policy.ts'
import { move, Queue, Queued } from './queue.ts'

/**
 * Adaptive Replacement Cache: what was used once and what was used again stand in a list each, and the share of the first
 * grows and shrinks by which of them is asked for after it left. Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead
 * Replacement Cache", FAST 2003, figure 4, with sizes in the place of counts. About 110 bytes an entry, and as much for
 * each that it remembers: as many bytes of them as fit the cache.
 */
export function arc<K>(capacityBytes: number): EvictionPolicy<K> {
  return new Arc(capacityBytes)
}

type Origin = 'once' | 'again' | 'unknown'

/** The paper's T1, T2, B1, B2 and p are `#once`, `#again`, `#ghosts.once`, `#ghosts.again` and `#onceTarget`. */
class Arc<K> extends KeyedPolicy<K, Queued<K>> {
  readonly #capacityBytes: number
  readonly #once = new Queue<K>()
  readonly #again = new Queue<K>()
  readonly #ghosts = { once: new Ghosts<K>(), again: new Ghosts<K>() }
  #onceTarget = 0
  #coming: { readonly key: K; readonly origin: Origin } | undefined

  constructor(capacityBytes: number) {
    super()
    this.#capacityBytes = capacityBytes
  }

  override admit(entry: Evictable<K>): boolean {
    this.#coming = { key: entry.key, origin: this.#recall(entry) }
    return true
  }

  override victim(): Queued<K> | undefined {
    const { oldest } = this.#once
    if (oldest === undefined || this.#again.oldest === undefined) return oldest ?? this.#again.oldest
    const over = this.#once.sizeBytes - this.#onceTarget
    return over > 0 || (over === 0 && this.#coming?.origin === 'again') ? oldest : this.#again.oldest
  }

  protected override placed(entry: Evictable<K>): Queued<K> {
    const origin = this.#coming?.key === entry.key ? this.#coming.origin : this.#recall(entry)
    this.#coming = undefined
    const placed = new Queued(entry)
    const queue = origin === 'unknown' ? this.#once : this.#again
    queue.push(placed)
    this.#trimGhosts()
    return placed
  }

  protected override used(entry: Queued<K>): void {
    move(entry, this.#again)
  }

  protected override removed(entry: Queued<K>): void {
    entry.queue?.take(entry)
  }

  protected override evicted(victim: Queued<K>): void {
    const ghosts = victim.queue === this.#once ? this.#ghosts.once : this.#ghosts.again
    this.removed(victim)
    ghosts.add(victim)
  }

  /** A ghost that is asked for says that its list was too short. */
  #recall({ key, sizeBytes }: Evictable<K>): Origin {
    const { once, again } = this.#ghosts
    if (once.has(key)) {
      const step = sizeBytes * Math.max(1, again.sizeBytes / once.sizeBytes)
      this.#onceTarget = Math.min(this.#capacityBytes, this.#onceTarget + step)
      once.take(key)
      return 'once'
    }
    if (again.has(key)) {
      const step = sizeBytes * Math.max(1, once.sizeBytes / again.sizeBytes)
      this.#onceTarget = Math.max(0, this.#onceTarget - step)
      again.take(key)
      return 'again'
    }
    return 'unknown'
  }

  /** Cases A and B of the paper's IV: done after the insertion, which comes to the same. */
  #trimGhosts(): void {
    const { once, again } = this.#ghosts
    once.shrinkTo(this.#capacityBytes - this.#once.sizeBytes)
    again.shrinkTo(2 * this.#capacityBytes - this.#once.sizeBytes - this.#again.sizeBytes - once.sizeBytes)
  }
}
