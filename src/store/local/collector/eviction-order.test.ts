import { expect, test } from 'vitest'
import type { ActionCensus } from './action-census.ts'
import { evictionOrder } from './eviction-order.ts'

interface Entry {
  readonly uses?: number
  readonly age?: number
  readonly costMs: number
  readonly sizeBytes?: number
}

/** A census of just these, used one after the other. */
function census(entries: readonly Entry[]): ActionCensus {
  const at = (number: number) => entries[number] as Entry
  return {
    count: entries.length,
    keyOf: (number) => Uint8Array.of(number),
    createdMsOf: () => 0,
    touchedMsOf: (number) => number,
    usesOf: (number) => at(number).uses ?? 1,
    ageOf: (number) => at(number).age ?? 0,
    sizeBytesOf: (number) => at(number).sizeBytes ?? 1000,
    costMsOf: (number) => at(number).costMs,
    forgetWorth: () => undefined,
  }
}

const order = async (entries: readonly Entry[], age = 0) => {
  const all = Uint32Array.from(entries.keys())
  const { numbers, ages } = await evictionOrder(census(entries), all, { policy: 'gdsf', age })
  return { numbers: [...numbers], ages: [...ages] }
}

test('what nobody knows the cost of counts as one of the mean of those that are known', async () => {
  // The mean of the two known ones is 50; the mean of all three would be 33.
  expect((await order([{ costMs: 0 }, { costMs: 40 }, { costMs: 60 }])).numbers).toEqual([1, 0, 2])
  expect((await order([{ costMs: 0 }, { costMs: 0 }])).numbers).toEqual([0, 1])
})

test('the age never goes back, whoever leaves', async () => {
  const { ages } = await order([{ costMs: 1 }, { costMs: 2 }, { costMs: 3, age: 90_000 }], 80_000)
  expect(ages[0]).toBe(80_000)
  expect(ages[1]).toBe(80_000)
  expect(ages[2]).toBeGreaterThan(90_000)
})
