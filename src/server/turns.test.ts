import { expect, test } from 'vitest'
import { turnsEach } from './turns.ts'

test('others have their turn after every so many, and not between', async () => {
  const turn = turnsEach(3)
  let others = 0
  let isOver = false
  const count = () => {
    others++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const seen: number[] = []
  for (let i = 0; i < 9; i++) {
    await turn()
    seen.push(others)
  }
  isOver = true
  expect(new Set(seen.slice(0, 2))).toEqual(new Set([0]))
  expect(seen[3]).toBe(seen[4])
  expect((seen[5] ?? 0) > (seen[4] ?? 0) && (seen[8] ?? 0) > (seen[7] ?? 0)).toBe(true)
})
