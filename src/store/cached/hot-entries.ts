import type { EvictionPolicy } from '../../evict/policy.ts'

/** Something remembered, of a size that was told. */
export interface Hot {
  /** Unique among all kinds of things that share one {@link HotEntries}. */
  readonly key: string
  readonly sizeBytes: number
}

/**
 * What a process remembers, within a limit in bytes that may change at any time. It holds the order of leaving and the
 * sum; what is remembered stands in the maps of those who use it, who are told when something has to go.
 */
export class HotEntries<T extends Hot> {
  readonly #policy: EvictionPolicy<string>
  readonly #entries = new Map<string, { readonly entry: T; readonly forget: (entry: T) => void }>()
  #limitBytes: number

  constructor(policy: EvictionPolicy<string>, limitBytes: number) {
    this.#policy = policy
    this.#limitBytes = limitBytes
  }

  get sizeBytes(): number {
    return this.#policy.sizeBytes
  }

  get count(): number {
    return this.#policy.count
  }

  get limitBytes(): number {
    return this.#limitBytes
  }

  /** Below what is held: the excess leaves at once. */
  set limitBytes(bytes: number) {
    this.#limitBytes = bytes
    this.#evict(bytes)
  }

  /** False when it is not held: too large to be held beside others, or not worth it to the policy. `forget` is called when it leaves by eviction. */
  add(entry: T, costMs: number, forget: (entry: T) => void): boolean {
    this.remove(entry.key)
    if (entry.sizeBytes > this.#limitBytes * LARGEST_SHARE) return false
    const evictable = { key: entry.key, sizeBytes: entry.sizeBytes, costMs }
    if (!this.#policy.admit(evictable)) return false
    this.#evict(this.#limitBytes - entry.sizeBytes)
    this.#policy.insert(evictable)
    this.#entries.set(entry.key, { entry, forget })
    return true
  }

  /** It was used. */
  touch(key: string): void {
    this.#policy.touch(key)
  }

  remove(key: string): void {
    if (this.#entries.delete(key)) this.#policy.remove(key)
  }

  #evict(targetBytes: number): void {
    while (this.#policy.sizeBytes > targetBytes) {
      const victim = this.#policy.evict()
      if (victim === undefined) return
      const held = this.#entries.get(victim.key)
      this.#entries.delete(victim.key)
      held?.forget(held.entry)
    }
  }
}

/** One entry may not push out all the others. */
const LARGEST_SHARE = 1 / 16
