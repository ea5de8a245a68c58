import type { Ranked } from './heap.ts'
import type { AgeingPolicy } from './policy.ts'
import { RankedPolicy } from './ranked-policy.ts'

/**
 * LFU with dynamic ageing: an entry ranks by its uses plus the rank of the last victim when it was last used, so that
 * what was popular once is overtaken. Arlitt et al., "Evaluating Content Management Techniques for Web Proxy Caches",
 * 1999.
 *
 * @param age where an earlier process ended
 */
export function lfuDa<K>(age?: number): AgeingPolicy<K> {
  return new LfuDa(age)
}

class LfuDa<K> extends RankedPolicy<K> {
  protected override rankOf(entry: Ranked<K>, age: number): number {
    return age + entry.uses
  }
}
