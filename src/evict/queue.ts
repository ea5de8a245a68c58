import type { Held } from './keyed-policy.ts'
import type { Evictable } from './policy.ts'

/** An entry that stands in a queue. */
export class Queued<K> implements Held<K> {
  readonly key: K
  sizeBytes: number
  costMs: number
  /** For the policy: how often it was used, or whether. */
  uses = 0
  queue: Queue<K> | undefined
  /** Towards the newest. */
  newer: Queued<K> | undefined
  older: Queued<K> | undefined

  constructor({ key, sizeBytes, costMs }: Evictable<K>) {
    this.key = key
    this.sizeBytes = sizeBytes
    this.costMs = costMs
  }

  resize(sizeBytes: number): void {
    if (this.queue !== undefined) this.queue.sizeBytes += sizeBytes - this.sizeBytes
    this.sizeBytes = sizeBytes
  }
}

/**
 * A linked list of entries, the newest at one end. Not a `Map` in order of insertion: finding its first key after many
 * deletions means to step over all the holes.
 */
export class Queue<K> {
  newest: Queued<K> | undefined
  oldest: Queued<K> | undefined
  sizeBytes = 0

  /** Puts an entry that stands nowhere at the newest end. */
  push(entry: Queued<K>): void {
    entry.queue = this
    entry.older = this.newest
    if (this.newest === undefined) this.oldest = entry
    else this.newest.newer = entry
    this.newest = entry
    this.sizeBytes += entry.sizeBytes
  }

  /** Takes out an entry that stands here. */
  take(entry: Queued<K>): void {
    if (entry.newer === undefined) this.newest = entry.older
    else entry.newer.older = entry.older
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    entry.queue = undefined
    entry.newer = undefined
    entry.older = undefined
    this.sizeBytes -= entry.sizeBytes
  }
}

/** Takes it from the queue where it stands, if any, to the newest end of another or the same. */
export function move<K>(entry: Queued<K>, to: Queue<K>): void {
  entry.queue?.take(entry)
  to.push(entry)
}
