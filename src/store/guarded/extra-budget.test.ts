import { expect, test } from 'vitest'
import { ExtraBudget } from './extra-budget.ts'

function takes(budget: ExtraBudget): number {
  let count = 0
  while (budget.take()) count++
  return count
}

test('what is in reserve is there at first, then a share of each call', () => {
  const budget = new ExtraBudget({ reserve: 10, share: 0.25 })
  expect(takes(budget)).toBe(10)
  for (let i = 0; i < 3; i++) budget.called()
  expect(takes(budget)).toBe(0)
  budget.called()
  expect(takes(budget)).toBe(1)
})

test.each([
  [10, 100],
  [0, 1],
])('with %i in reserve at most %i are saved up', (reserve, most) => {
  const budget = new ExtraBudget({ reserve, share: 0.5 })
  for (let i = 0; i < 10_000; i++) budget.called()
  expect(takes(budget)).toBe(most)
})
