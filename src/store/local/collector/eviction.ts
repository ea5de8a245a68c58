import { setImmediate as breathe } from 'node:timers/promises'
import type { IndexDb } from '../index-db.ts'
import type { Layout } from '../layout.ts'
import { MARK_STEP_MS } from '../marks.ts'
import { type Pins, pinName } from '../pins.ts'
import { accountsOf, diskBytesOf } from './accounts.ts'
import type { ActionCensus } from './action-census.ts'
import type { Victim } from './collector-rows.ts'
import { type EvictionOrder, evictionOrder, type PolicyName } from './eviction-order.ts'
import {
  enoughFreeBytes,
  freeBytesAt,
  highWater,
  highWaterCount,
  lowWater,
  lowWaterCount,
  type Quota,
} from './quota.ts'
import { folderBytes } from './quota-usage.ts'

/**
 * What may have been used so lately leaves only when all else has: a run may be reading it. Marks are as coarse as their
 * step, hence that and a few minutes.
 */
export const IN_USE_MS = MARK_STEP_MS + 300_000

/** Results looked at between two turns of others. */
const LOOKS_A_STEP = 20_000

/** How much may be left of what; infinite where there is no such limit. */
export interface Targets {
  readonly diskBytes: number
  readonly casBytes: number
  readonly entries: number
}

/** What a collection has to come down to: the low mark of each limit whose high mark is passed; of the folder always. */
export function targetsOf(index: IndexDb, layout: Layout, quota: Quota, targetBytes: number | undefined): Targets {
  const { maxCacheBytes, maxCasBytes, maxEntries, minFreeBytes } = quota
  const { actions, fileBytes } = accountsOf(index)
  const casBytes = folderBytes(layout.journal) + fileBytes
  const freeBytes = minFreeBytes > 0 ? freeBytesAt(layout.dir) : Number.POSITIVE_INFINITY
  const missingBytes = freeBytes < minFreeBytes ? enoughFreeBytes(minFreeBytes) - freeBytes : 0
  const most = targetBytes ?? lowWater(maxCacheBytes)
  return {
    diskBytes: missingBytes > 0 ? Math.min(most, diskBytesOf(index, layout) - missingBytes) : most,
    casBytes: casBytes > highWater(maxCasBytes) ? lowWater(maxCasBytes) : Number.POSITIVE_INFINITY,
    entries: actions > highWaterCount(maxEntries) ? lowWaterCount(maxEntries) : Number.POSITIVE_INFINITY,
  }
}

export interface EvictionPlan {
  /** By number of the census: these outlived their time. */
  readonly expired: readonly number[]
  /** The others that may leave, in their order. */
  readonly order: EvictionOrder
}

/** Who leaves: what is pinned never does, what was used just now comes last. */
export async function planEviction(
  census: ActionCensus,
  pins: Pins,
  options: {
    readonly nowMs: number
    readonly ttlMs: number
    readonly policy: PolicyName
    readonly age: number
    /** False: only what is expired is asked for. */
    readonly isOver: boolean
    readonly signal?: AbortSignal | undefined
  },
): Promise<EvictionPlan> {
  const { nowMs, ttlMs, isOver } = options
  const expired: number[] = []
  // From both ends of one array: those that are idle, and those that may be in use.
  const candidates = new Uint32Array(isOver ? census.count : 0)
  let idleCount = 0
  let usedFrom = candidates.length
  for (let number = 0; number < census.count; number++) {
    if (number % LOOKS_A_STEP === 0) await breathe()
    if (pins.size > 0 && pins.has(pinOfKey(census.keyOf(number)))) continue
    if (census.createdMsOf(number) < nowMs - ttlMs) expired.push(number)
    else if (isOver) candidates[census.touchedMsOf(number) > nowMs - IN_USE_MS ? --usedFrom : idleCount++] = number
  }
  const idle = await evictionOrder(census, candidates.subarray(0, idleCount), options)
  const used = await evictionOrder(census, candidates.subarray(usedFrom), options)
  return {
    expired,
    order: {
      numbers: joined(idle.numbers, used.numbers, Uint32Array),
      ages: joined(idle.ages, used.ages, Float64Array),
    },
  }
}

export function victimOf(census: ActionCensus, number: number): Victim {
  return { key: census.keyOf(number), touchedMs: census.touchedMsOf(number) }
}

function pinOfKey(key: Uint8Array): string {
  const name = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  return pinName(name.toString('utf8', 32), name.toString('hex', 0, 32))
}

function joined<T extends Uint32Array | Float64Array>(a: T, b: T, make: new (length: number) => T): T {
  if (b.length === 0) return a
  const both = new make(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
