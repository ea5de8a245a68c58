import type { Evictable, EvictionPolicy } from './policy.ts'

/** An entry as a policy holds it. */
export interface Held<K> extends Evictable<K> {
  costMs: number
  /** Changes its size, also in the sums of whatever it is part of. */
  resize(sizeBytes: number): void
}

/** What all policies do alike: find entries by key, count them, sum them up. A policy says where they stand. */
export abstract class KeyedPolicy<K, E extends Held<K>> implements EvictionPolicy<K> {
  protected readonly entries = new Map<K, E>()
  #sizeBytes = 0

  get count(): number {
    return this.entries.size
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  admit(_entry: Evictable<K>): boolean {
    return true
  }

  insert(entry: Evictable<K>): void {
    const known = this.entries.get(entry.key)
    if (known === undefined) this.hold(this.placed(entry))
    else {
      this.#sizeBytes += entry.sizeBytes - known.sizeBytes
      known.resize(entry.sizeBytes)
      known.costMs = entry.costMs
      this.used(known)
    }
  }

  touch(key: K): boolean {
    const known = this.entries.get(key)
    if (known === undefined) return false
    this.used(known)
    return true
  }

  remove(key: K): void {
    const known = this.entries.get(key)
    if (known === undefined) return
    this.#forget(known)
    this.removed(known)
  }

  abstract victim(): E | undefined

  evict(): Evictable<K> | undefined {
    const victim = this.victim()
    if (victim === undefined) return undefined
    this.#forget(victim)
    this.evicted(victim)
    return victim
  }

  protected hold(entry: E): void {
    this.entries.set(entry.key, entry)
    this.#sizeBytes += entry.sizeBytes
  }

  /** A newcomer, put where it belongs. */
  protected abstract placed(entry: Evictable<K>): E
  protected abstract used(entry: E): void
  /** Takes it out of where it stood. */
  protected abstract removed(entry: E): void
  /** The same for the victim. */
  protected evicted(victim: E): void {
    this.removed(victim)
  }

  #forget(entry: E): void {
    this.entries.delete(entry.key)
    this.#sizeBytes -= entry.sizeBytes
  }
}
