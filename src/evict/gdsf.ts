import type { Ranked } from './heap.ts'
import type { AgeingPolicy, Evictable } from './policy.ts'
import { RankedPolicy } from './ranked-policy.ts'

/**
 * Greedy-Dual-Size-Frequency: an entry ranks by what a byte of it saves, which is its uses times its cost by its size,
 * plus the rank of the last victim when it was last used. So a small result of long work stays, and what nobody asks for
 * any more is overtaken. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
 * HP Labs 1998. Where the cost is not known (0), the mean of the known ones is assumed.
 *
 * Uses count by their logarithm, which is not in the paper: a result that was asked for a hundred times while somebody
 * worked on its branch is not a hundred times as likely to be asked for next month.
 *
 * @param age where an earlier process ended
 */
export function gdsf<K>(age?: number): AgeingPolicy<K> {
  return new Gdsf(age, (uses) => 1 + Math.log2(uses))
}

/** {@link gdsf} as the paper has it, to compare with what others published. */
export function gdsfOriginal<K>(age?: number): AgeingPolicy<K> {
  return new Gdsf(age, (uses) => uses)
}

class Gdsf<K> extends RankedPolicy<K> {
  readonly #weigh: (uses: number) => number
  #knownCosts = 0
  #costsMs = 0

  constructor(age: number | undefined, weigh: (uses: number) => number) {
    super(age)
    this.#weigh = weigh
  }

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
    return age + (this.#weigh(uses) * cost * BYTES) / Math.max(1, sizeBytes)
  }

  #learn({ costMs }: Evictable<K>): void {
    if (costMs <= 0) return
    this.#knownCosts++
    this.#costsMs += costMs
  }
}

/** Ranks are per megabyte: per byte they would be so small that sums lose digits. */
const BYTES = 1e6
