import fc from 'fast-check'
import { expect, test } from 'vitest'
import { orderOf } from './stepwise-sort.ts'

test('orders as a sort does, equal ones as they stand, whatever the length', async () => {
  const lengths = fc.constantFrom(0, 1, 2, 2047, 2048, 2049, 4096, 5000, 8192, 10_000)
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 1, max: 1e6 }), async (length, spread) => {
      let state = spread
      const values = Float64Array.from({ length }, () => {
        state = (state * 48_271) % 2_147_483_647
        return state % spread
      })
      const expected = [...values.keys()].sort((a, b) => (values[a] as number) - (values[b] as number) || a - b)
      expect([...(await orderOf(values, async () => {}))]).toEqual(expected)
    }),
    { numRuns: 30 },
  )
})

test('others have their turn while it sorts', async () => {
  let steps = 0
  await orderOf(new Float64Array(200_000), async () => {
    steps++
  })
  expect(steps).toBeGreaterThan(100)
})
