import { expect, it } from 'vitest'
import { Pace } from './pace.ts'

it('waits as long as the bytes should have taken, counted from the start', () => {
  let nowMs = 1_000
  const pace = new Pace(1_000, () => nowMs)
  expect(pace.dueMs(500)).toBe(500)
  nowMs += 500
  expect(pace.dueMs(500)).toBe(500)
  // What was not used is not lost.
  nowMs += 2_000
  expect(pace.dueMs(1_000)).toBe(-500)
})

it('never waits without a limit, and ends when told to', async () => {
  const pace = new Pace(Number.POSITIVE_INFINITY)
  await pace.after(1e15)
  const slow = new Pace(1)
  const control = new AbortController()
  const waiting = slow.after(1_000, control.signal)
  control.abort(new Error('enough'))
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  await expect(new Pace(1e15).after(1, control.signal)).rejects.toThrow('enough')
})
