import { setImmediate as breathe } from 'node:timers/promises'
import { gdsf } from '../../../evict/gdsf.ts'
import { lfuDa } from '../../../evict/lfu-da.ts'
import type { AgeingPolicy } from '../../../evict/policy.ts'
import type { ActionCensus } from './action-census.ts'
import { orderOf } from './stepwise-sort.ts'

/** The policies that make sense for a disk, where each collection is another process. */
export type PolicyName = 'gdsf' | 'lfu-da' | 'lru'

/** What it cost to make a result, by its bytes and its uses: a minute of compiling outlives a gigabyte of copying. */
export const DEFAULT_POLICY: PolicyName = 'gdsf'

/** Who leaves, first to last, by number of the census. */
export interface EvictionOrder {
  readonly numbers: Uint32Array
  /** The policy's age once that one has left; for LRU, which has none, that from before. */
  readonly ages: Float64Array
}

export interface OrderOptions {
  readonly policy: PolicyName
  readonly age: number
  readonly signal?: AbortSignal | undefined
}

/** Ranked between two turns of others. */
const RANKED_A_STEP = 5_000
/** Looked up between two turns of others. */
const LOOKED_UP_A_STEP = 50_000

type Step = () => Promise<void>

/**
 * The order in which the policy gives up these results: by its ranks, which are sorted in steps. To hand a million entries
 * over to the policy itself would take more memory than all else of a collection. Results used after the census are no
 * matter: who evicts looks again.
 */
export async function evictionOrder(
  census: ActionCensus,
  candidates: Uint32Array,
  { policy, age, signal }: OrderOptions,
): Promise<EvictionOrder> {
  const step = () => breathe(undefined, signal === undefined ? {} : { signal })
  const byUse = await placed(
    candidates,
    await orderOf(await mapped(candidates, (of) => census.touchedMsOf(of), step), step),
    step,
  )
  if (policy === 'lru') return { numbers: byUse, ages: new Float64Array(byUse.length).fill(age) }
  const ranks = await ranksOf(census, byUse, policy === 'gdsf' ? gdsf(age) : lfuDa(age), step)
  // Of equal ranks the one used first is first: the order is kept.
  const byRank = await orderOf(ranks, step)
  const ages = await mapped(byRank, (place) => Math.max(age, ranks[place] as number), step)
  return { numbers: await placed(byUse, byRank, step), ages }
}

async function ranksOf(
  census: ActionCensus,
  numbers: Uint32Array,
  policy: AgeingPolicy<number>,
  step: Step,
): Promise<Float64Array> {
  const meanCostMs = await meanCostOf(census, numbers, step)
  const ranks = new Float64Array(numbers.length)
  for (let i = 0; i < numbers.length; i++) {
    const key = numbers[i] as number
    const entry = { key, sizeBytes: census.sizeBytesOf(key), costMs: census.costMsOf(key) || meanCostMs }
    ranks[i] = policy.rank(entry, { uses: census.usesOf(key), age: census.ageOf(key) })
    if (i % RANKED_A_STEP === 0) await step()
  }
  return ranks
}

/** Of those that are known: the best guess for the others. 0 where none is. */
async function meanCostOf(census: ActionCensus, numbers: Uint32Array, step: Step): Promise<number> {
  let sum = 0
  let known = 0
  for (let i = 0; i < numbers.length; i++) {
    const costMs = census.costMsOf(numbers[i] as number)
    sum += costMs
    if (costMs > 0) known++
    if (i % LOOKED_UP_A_STEP === 0) await step()
  }
  return known === 0 ? 0 : sum / known
}

async function mapped(numbers: Uint32Array, of: (number: number) => number, step: Step): Promise<Float64Array> {
  const values = new Float64Array(numbers.length)
  for (let i = 0; i < values.length; i++) {
    values[i] = of(numbers[i] as number)
    if (i % LOOKED_UP_A_STEP === 0) await step()
  }
  return values
}

async function placed(numbers: Uint32Array, places: Uint32Array, step: Step): Promise<Uint32Array> {
  const result = new Uint32Array(numbers.length)
  for (let i = 0; i < result.length; i++) {
    result[i] = numbers[places[i] as number] as number
    if (i % LOOKED_UP_A_STEP === 0) await step()
  }
  return result
}
