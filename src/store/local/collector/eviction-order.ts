import { setImmediate as breathe } from 'node:timers/promises'
import { gdsf } from '../../../evict/gdsf.ts'
import { lfuDa } from '../../../evict/lfu-da.ts'
import { lru } from '../../../evict/lru.ts'
import type { AgeingPolicy, EvictionPolicy } from '../../../evict/policy.ts'
import type { ActionCensus } from './action-census.ts'
import { orderOf } from './stepwise-sort.ts'

/** The policies that make sense for a disk, where each collection is another process. */
export type PolicyName = 'gdsf' | 'lfu-da' | 'lru'

/** What it cost to make a result, by its bytes and its uses: a minute of compiling outlives a gigabyte of copying. */
export const DEFAULT_POLICY: PolicyName = 'gdsf'

/** Who leaves, first to last, by number of the census. */
export interface EvictionOrder {
  readonly numbers: Uint32Array
  /** The policy's age once that one has left; for policies without one 0. */
  readonly ages: Float64Array
}

/** Entering or leaving a heap of a million takes a few microseconds. */
const CALLS_A_STEP = 1_000

/**
 * The order in which the policy gives up these results. It is worked out at once and the policy let go, since a policy
 * holds more memory than all else of a collection. Results used after the census are no matter: who evicts looks again.
 */
export async function evictionOrder(
  census: ActionCensus,
  candidates: Uint32Array,
  options: { readonly policy: PolicyName; readonly age: number; readonly signal?: AbortSignal | undefined },
): Promise<EvictionOrder> {
  const step = () => breathe(undefined, options.signal === undefined ? {} : { signal: options.signal })
  const policy = await filled(census, candidates, options, step)
  const numbers = new Uint32Array(candidates.length)
  const ages = new Float64Array(candidates.length)
  for (let i = 0; i < numbers.length; i++) {
    numbers[i] = policy.evict()?.key as number
    ages[i] = isAgeing(policy) ? policy.age : 0
    if (i % CALLS_A_STEP === 0) await step()
  }
  return { numbers, ages }
}

async function filled(
  census: ActionCensus,
  candidates: Uint32Array,
  { policy: name, age }: { readonly policy: PolicyName; readonly age: number },
  step: () => Promise<void>,
): Promise<EvictionPolicy<number>> {
  const policy: EvictionPolicy<number> = name === 'lru' ? lru() : name === 'gdsf' ? gdsf(age) : lfuDa(age)
  const times = new Float64Array(candidates.length)
  for (let i = 0; i < times.length; i++) times[i] = census.touchedMsOf(candidates[i] as number)
  const byUse = await orderOf(times, step)
  for (const [i, place] of byUse.entries()) {
    const number = candidates[place] as number
    const entry = { key: number, sizeBytes: census.sizeBytesOf(number), costMs: census.costMsOf(number) }
    if (isAgeing(policy)) policy.restore(entry, { uses: census.usesOf(number), age: census.ageOf(number) })
    else policy.insert(entry)
    if (i % CALLS_A_STEP === 0) await step()
  }
  return policy
}

function isAgeing<K>(policy: EvictionPolicy<K>): policy is AgeingPolicy<K> {
  return 'restore' in policy
}
