import { KeyedPolicy } from './keyed-policy.ts'
import type { Evictable, EvictionPolicy } from './policy.ts'
import { Queue, Queued } from './queue.ts'

/** First in, first out: uses do not count. Here to measure others by. */
export function fifo<K>(): EvictionPolicy<K> {
  return new Fifo()
}

class Fifo<K> extends KeyedPolicy<K, Queued<K>> {
  readonly #queue = new Queue<K>()

  override victim(): Queued<K> | undefined {
    return this.#queue.oldest
  }

  protected override placed(entry: Evictable<K>): Queued<K> {
    const placed = new Queued(entry)
    this.#queue.push(placed)
    return placed
  }

  protected override used(): void {}

  protected override removed(entry: Queued<K>): void {
    this.#queue.take(entry)
  }
}
