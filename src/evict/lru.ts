import { KeyedPolicy } from './keyed-policy.ts'
import type { Evictable, EvictionPolicy } from './policy.ts'
import { move, Queue, Queued } from './queue.ts'

/**
 * Least recently used: what was not used for longest leaves first, whatever its size and cost. About 110 bytes an entry.
 */
export function lru<K>(): EvictionPolicy<K> {
  return new Lru()
}

class Lru<K> extends KeyedPolicy<K, Queued<K>> {
  readonly #queue = new Queue<K>()

  override victim(): Queued<K> | undefined {
    return this.#queue.oldest
  }

  protected override placed(entry: Evictable<K>): Queued<K> {
    const placed = new Queued(entry)
    this.#queue.push(placed)
    return placed
  }

  protected override used(entry: Queued<K>): void {
    move(entry, this.#queue)
  }

  protected override removed(entry: Queued<K>): void {
    this.#queue.take(entry)
  }
}
