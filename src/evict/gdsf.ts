import type { Ranked } from './heap.ts'
import type { AgeingPolicy, Evictable } from './policy.ts'
import { RankedPolicy } from './ranked-policy.ts'

/**
 * Greedy-Dual-Size-Frequency: an entry ranks by what a byte of it saves, which is its uses times its cost by its size,
 * plus the rank of the last victim when it was last used. So a small result of long work stays, and what nobody asks for
 * any more is overtaken. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
 * HP Labs 1998. Where the cost is not known (0), the mean of the known ones is assumed.
 *
 * @param age where an earlier process ended
 */
export function gdsf<K>(age?: number): AgeingPolicy<K> {
  return new Gdsf(age)
}

class Gdsf<K> extends RankedPolicy<K> {
  #knownCosts = 0
  #costsMs = 0

  override insert(entry: Evictable<K>): void {
    this.#learn(entry)
    super.insert(entry)
  }

  override restore(entry: Evictable<K>, past: { readonly uses: number; readonly age: number }): void {
    this.#learn(entry)
    super.restore(entry, past)
  }

  protected override rankOf({ uses, costMs, sizeBytes }: Ranked<K>, age: number): number {
    const cost = costMs > 0 ? costMs : this.#knownCosts > 0 ? this.#costsMs / this.#knownCosts : 1
    return age + (uses * cost * BYTES) / Math.max(1, sizeBytes)
  }

  #learn({ costMs }: Evictable<K>): void {
    if (costMs <= 0) return
    this.#knownCosts++
    this.#costsMs += costMs
  }
}

/** Ranks are per megabyte: per byte they would be so small that sums lose digits. */
const BYTES = 1e6
