import type { Evictable, EvictionPolicy } from './policy.ts'

/**
 * Least recently used: what was not used for longest leaves first, whatever its size and cost. Right for builds as long
 * as nothing better is measured: people come back to the branch of this morning, seldom to the one of last month.
 */
export function lru<K>(): EvictionPolicy<K> {
  return new Lru()
}

/** A `Map` keeps the order of insertion, so an entry that is taken out and put back is the most recent one. */
class Lru<K> implements EvictionPolicy<K> {
  readonly #entries = new Map<K, Evictable<K>>()
  #sizeBytes = 0

  get count(): number {
    return this.#entries.size
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  insert(entry: Evictable<K>): void {
    this.remove(entry.key)
    this.#entries.set(entry.key, entry)
    this.#sizeBytes += entry.sizeBytes
  }

  touch(key: K): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#entries.set(key, entry)
  }

  remove(key: K): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#sizeBytes -= entry.sizeBytes
  }

  victim(): Evictable<K> | undefined {
    return this.#entries.values().next().value
  }
}
