import { expect, test } from 'vitest'
import { usualAfter } from './usual-time.ts'

test('the first time is the rule; later ones move it by a part, and one that hung hardly', () => {
  expect(usualAfter(undefined, 5_000)).toBe(5_000)
  expect(usualAfter(undefined, 0)).toBe(1)
  expect(usualAfter(5_000, 5_000)).toBeCloseTo(5_000)
  expect(usualAfter(1_000, 16_000)).toBeCloseTo(2_000)
  expect(usualAfter(16_000, 1_000)).toBeCloseTo(8_000)
  let usualMs = 60_000
  for (let time = 0; time < 20; time++) usualMs = usualAfter(usualMs, 1_000)
  expect(usualMs).toBeLessThan(1_020)
  expect(usualMs).toBeGreaterThan(1_000)
})
