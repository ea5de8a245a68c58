import type { Ranked } from './heap.ts'
import type { EvictionPolicy } from './policy.ts'
import { RankedPolicy } from './ranked-policy.ts'

/**
 * Least frequently used, counted while the entry is there; among equals the least recently used leaves first. What was
 * popular once never leaves, so it is here to measure others by: {@link lfuDa} is the one to use.
 */
export function lfu<K>(): EvictionPolicy<K> {
  return new Lfu()
}

class Lfu<K> extends RankedPolicy<K> {
  protected override rankOf(entry: Ranked<K>): number {
    return entry.uses
  }
}
