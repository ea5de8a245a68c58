/** What a policy may know of an entry: its name, what keeping it takes, and what losing it would cost. */
export interface Evictable<K> {
  readonly key: K
  /** What goes free when it leaves. */
  readonly sizeBytes: number
  /** What it takes to make it again: the run's duration in milliseconds. 0 when nobody knows. */
  readonly costMs: number
}

/**
 * Decides who leaves first, and nothing else: no limits, no clock, no disk. Time is the order of the calls, so that a
 * recorded trace replays the same way everywhere.
 */
export interface EvictionPolicy<K> {
  /** How many entries it knows. */
  readonly count: number
  /** The sum of their sizes. */
  readonly sizeBytes: number
  /** A new entry, or a known one with another size or cost. Counts as a use. */
  insert(entry: Evictable<K>): void
  /** The entry was used. Unknown keys are ignored: it may have left a moment ago. */
  touch(key: K): void
  /** The entry is gone, evicted or otherwise. Unknown keys are ignored. */
  remove(key: K): void
  /** Who should leave next; asked twice it says the same. The caller says `remove` once it is done. */
  victim(): Evictable<K> | undefined
}
