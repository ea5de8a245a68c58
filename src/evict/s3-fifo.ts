import { Ghosts } from './ghosts.ts'
import { KeyedPolicy } from './keyed-policy.ts'
import type { Evictable, EvictionPolicy } from './policy.ts'
import { move, Queue, Queued } from './queue.ts'

/**
 * Three queues in order of arrival: newcomers stand in a small one, move to the main one if they are used there often
 * enough, and are remembered if not; who comes back while remembered goes straight to the main one, whose entries go
 * back in line as often as they were used (at most 3 times). Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023.
 * About 110 bytes an entry, and as much for each that it remembers.
 *
 * Until the first eviction newcomers fill the main queue once the small one is full, as the authors' own code has it by
 * now.
 */
export function s3fifo<K>(capacityBytes: number): EvictionPolicy<K> {
  return new S3Fifo(capacityBytes, true)
}

/** {@link s3fifo} as the paper has it: what is inserted first has to pass through the small queue too. */
export function s3fifoOriginal<K>(capacityBytes: number): EvictionPolicy<K> {
  return new S3Fifo(capacityBytes, false)
}

const SMALL_SHARE = 0.1
const GHOST_SHARE = 0.9
const USES_TO_STAY = 2
const MOST_USES = 3

class S3Fifo<K> extends KeyedPolicy<K, Queued<K>> {
  readonly #smallBytes: number
  readonly #mainBytes: number
  readonly #ghostBytes: number
  readonly #small = new Queue<K>()
  readonly #main = new Queue<K>()
  readonly #ghosts = new Ghosts<K>()
  #mayFillMain: boolean
  /** The key that was remembered when it was asked for. */
  #returning: { readonly key: K } | undefined

  constructor(capacityBytes: number, fillsMain: boolean) {
    super()
    this.#smallBytes = Math.floor(capacityBytes * SMALL_SHARE)
    this.#mainBytes = capacityBytes - this.#smallBytes
    this.#ghostBytes = Math.floor(capacityBytes * GHOST_SHARE)
    this.#mayFillMain = fillsMain
  }

  /** False for what does not fit the small queue: it would push out all that is on trial there. */
  override admit(entry: Evictable<K>): boolean {
    this.#returning = this.#ghosts.take(entry.key) ? entry : undefined
    return this.#returning !== undefined || entry.sizeBytes <= this.#smallBytes
  }

  override victim(): Queued<K> | undefined {
    if (this.#main.sizeBytes <= this.#mainBytes) {
      const victim = this.#smallVictim()
      if (victim !== undefined) return victim
    }
    return this.#mainVictim() ?? this.#smallVictim()
  }

  protected override placed(entry: Evictable<K>): Queued<K> {
    const isKnown = this.#returning?.key === entry.key || this.#ghosts.take(entry.key)
    this.#returning = undefined
    const fillsMain = this.#mayFillMain && this.#small.sizeBytes >= this.#smallBytes
    const placed = new Queued(entry)
    const queue = isKnown || fillsMain ? this.#main : this.#small
    queue.push(placed)
    return placed
  }

  protected override used(entry: Queued<K>): void {
    entry.uses++
  }

  protected override removed(entry: Queued<K>): void {
    entry.queue?.take(entry)
  }

  protected override evicted(victim: Queued<K>): void {
    const isFromSmall = victim.queue === this.#small
    this.#mayFillMain = false
    this.removed(victim)
    if (!isFromSmall || victim.sizeBytes > this.#ghostBytes) return
    this.#ghosts.add(victim)
    this.#ghosts.shrinkTo(this.#ghostBytes)
  }

  #smallVictim(): Queued<K> | undefined {
    let oldest = this.#small.oldest
    while (oldest !== undefined && oldest.uses >= USES_TO_STAY) {
      oldest.uses = 0
      move(oldest, this.#main)
      oldest = this.#small.oldest
    }
    return oldest
  }

  #mainVictim(): Queued<K> | undefined {
    let oldest = this.#main.oldest
    while (oldest !== undefined && oldest.uses > 0) {
      oldest.uses = Math.min(oldest.uses, MOST_USES) - 1
      move(oldest, this.#main)
      oldest = this.#main.oldest
    }
    return oldest
  }
}
