import type { Evictable } from './policy.ts'
import { Queue, Queued } from './queue.ts'

/** Names and sizes of entries that left, the oldest forgotten first. */
export class Ghosts<K> {
  readonly #byKey = new Map<K, Queued<K>>()
  readonly #queue = new Queue<K>()

  /** What the entries took that it remembers. */
  get sizeBytes(): number {
    return this.#queue.sizeBytes
  }

  has(key: K): boolean {
    return this.#byKey.has(key)
  }

  add(entry: Evictable<K>): void {
    this.take(entry.key)
    const ghost = new Queued(entry)
    this.#byKey.set(entry.key, ghost)
    this.#queue.push(ghost)
  }

  /** Forgets it; false when it was not known. */
  take(key: K): boolean {
    const ghost = this.#byKey.get(key)
    if (ghost === undefined) return false
    this.#byKey.delete(key)
    this.#queue.take(ghost)
    return true
  }

  /** Forgets the oldest until the rest is no larger. */
  shrinkTo(sizeBytes: number): void {
    while (this.#queue.oldest !== undefined && this.sizeBytes > sizeBytes) this.take(this.#queue.oldest.key)
  }
}
