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
 *
 * A use is `touch`, and where that is false, `admit`, then `evict` until there is room, then `insert`. Who only wants the
 * order of what is there already, as a collector does, calls `insert` in the order of last use, and then `evict`.
 */
export interface EvictionPolicy<K> {
  /** How many entries it knows. */
  readonly count: number
  /** The sum of their sizes. */
  readonly sizeBytes: number
  /**
   * An unknown entry was asked for, and room is about to be made for it. Said before `evict`, because some policies choose
   * the victim by who comes. False advises not to keep it; inserted all the same, it is an entry like others.
   */
  admit(entry: Evictable<K>): boolean
  /** A new entry, or a known one with another size or cost. Counts as a use. */
  insert(entry: Evictable<K>): void
  /** The entry was used. False, and nothing else, when it is unknown: it may have left a moment ago. */
  touch(key: K): boolean
  /** The entry is gone for a reason of its own: deleted, expired. Leaves no trace. Unknown keys are ignored. */
  remove(key: K): void
  /** Who should leave next; asked twice with nothing in between it says the same. */
  victim(): Evictable<K> | undefined
  /** The victim leaves for want of room: some policies remember it, or age the others by it. */
  evict(): Evictable<K> | undefined
}

/**
 * One whose entries rank by more than the order of their uses, so that the order alone does not bring it back in a later
 * process. Kept beside each entry (or for a stretch of time, as it changes only by `evict`), `age` does.
 */
export interface AgeingPolicy<K> extends EvictionPolicy<K> {
  /** What newcomers and those used now start from; never falls. */
  readonly age: number
  /** An entry from before: how often it was used in all, at least 1, and the age when it last was. */
  restore(entry: Evictable<K>, past: { readonly uses: number; readonly age: number }): void
  /**
   * By what `restore` would rank it, without keeping it: the lowest leaves first, of equals the one that was used first, and
   * the age is then what it ranked. For who has too many entries to hand over to see in what order they leave.
   */
  rank(entry: Evictable<K>, past: { readonly uses: number; readonly age: number }): number
}
