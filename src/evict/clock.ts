import { KeyedPolicy } from './keyed-policy.ts'
import type { Evictable, EvictionPolicy } from './policy.ts'
import { move, Queue, Queued } from './queue.ts'

/**
 * CLOCK, or FIFO with reinsertion: the oldest goes back in line once if it was used since it stood there. Corbató, "A
 * Paging Experiment with the Multics System", 1968. Here to measure others by.
 */
export function clock<K>(): EvictionPolicy<K> {
  return new Clock()
}

class Clock<K> extends KeyedPolicy<K, Queued<K>> {
  readonly #queue = new Queue<K>()

  override victim(): Queued<K> | undefined {
    let oldest = this.#queue.oldest
    while (oldest !== undefined && oldest.uses > 0) {
      oldest.uses = 0
      move(oldest, this.#queue)
      oldest = this.#queue.oldest
    }
    return oldest
  }

  protected override placed(entry: Evictable<K>): Queued<K> {
    const placed = new Queued(entry)
    this.#queue.push(placed)
    return placed
  }

  protected override used(entry: Queued<K>): void {
    entry.uses = 1
  }

  protected override removed(entry: Queued<K>): void {
    this.#queue.take(entry)
  }
}
