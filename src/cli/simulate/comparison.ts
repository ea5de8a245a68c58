import { POLICIES, type PolicyName } from '../../evict/policies.ts'
import { type Misses, simulate, simulateBelady } from '../../evict/simulate.ts'
import type { Trace } from '../../evict/trace.ts'

/** What a trace asks for in all. */
export interface Demand {
  readonly requests: number
  /** Distinct ones. */
  readonly objects: number
  readonly bytes: number
  /** Of all distinct objects, in the size each had at first; their number where sizes do not count. */
  readonly footprint: number
  /** Undefined where nobody knows what a miss costs. */
  readonly costMs: number | undefined
}

export interface PolicyResult {
  readonly policy: PolicyName | 'belady'
  readonly misses: number
  readonly missRatio: number
  readonly missedBytes: number
  /** Of what all requests would cost if none hit; undefined where nobody knows what a miss costs. */
  readonly costRatio: number | undefined
  /** How much larger the cost ratio, or else the miss ratio, is than Belady's. */
  readonly overBelady: number
}

export interface SizeResult {
  readonly capacity: number
  readonly results: readonly PolicyResult[]
}

export function demandOf(trace: Trace, countsObjects: boolean): Demand {
  const { requests, objects, keys, sizes, costs } = trace
  const seen = new Uint8Array(objects)
  let [bytes, footprint, costMs] = [0, 0, 0]
  for (let at = 0; at < requests; at++) {
    const size = sizes?.[at] ?? 1
    const key = keys[at] as number
    bytes += size
    costMs += costs?.[at] ?? 0
    if (seen[key] === 0) footprint += countsObjects ? 1 : size
    seen[key] = 1
  }
  return { requests, objects, bytes, footprint, costMs: costs === undefined ? undefined : costMs }
}

/** Each policy at one size, and Belady's optimum last. Throws the signal's reason when aborted. */
export async function compareAt(
  trace: Trace,
  demand: Demand,
  policies: readonly PolicyName[],
  replay: { readonly capacity: number; readonly countsObjects: boolean },
  signal: AbortSignal,
): Promise<SizeResult> {
  const optimum = await simulateBelady(trace, replay, signal)
  const score = ({ misses, missedCostMs }: Misses) =>
    demand.costMs ? missedCostMs / demand.costMs : misses / demand.requests
  const resultOf = (policy: PolicyName | 'belady', found: Misses): PolicyResult => ({
    policy,
    misses: found.misses,
    missRatio: found.misses / demand.requests,
    missedBytes: found.missedBytes,
    costRatio: demand.costMs ? found.missedCostMs / demand.costMs : undefined,
    overBelady: score(found) - score(optimum),
  })
  const results: PolicyResult[] = []
  for (const policy of policies) results.push(resultOf(policy, await simulate(trace, POLICIES[policy], replay, signal)))
  return { capacity: replay.capacity, results: [...results, resultOf('belady', optimum)] }
}
