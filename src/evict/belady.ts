import type { Ranked } from './heap.ts'
import type { EvictionPolicy } from './policy.ts'
import { RankedPolicy } from './ranked-policy.ts'

/**
 * What is asked for farthest in the future leaves first: no policy misses less where all sizes are equal, and none can
 * know it. Belady, "A Study of Replacement Algorithms for a Virtual-Storage Computer", 1966. Where sizes differ it is
 * a reference and no bound.
 *
 * @param nextUse when the entry of this very call is asked for again: larger is later, Infinity is never
 */
export function belady<K>(nextUse: () => number): EvictionPolicy<K> {
  return new Belady(nextUse)
}

class Belady<K> extends RankedPolicy<K> {
  readonly #nextUse: () => number

  constructor(nextUse: () => number) {
    super()
    this.#nextUse = nextUse
  }

  protected override rankOf(_entry: Ranked<K>): number {
    return -this.#nextUse()
  }
}
