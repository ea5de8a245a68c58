import { expect, test } from 'vitest'
import { Recently } from './recently.ts'

test('what is remembered is forgotten after its time, when the clock was set back, and when there is too much', () => {
  let nowMs = 1_000
  const recently = new Recently(2, 100, () => nowMs)
  recently.add('a')
  nowMs += 99
  expect(recently.has('a')).toBe(true)
  nowMs += 1
  expect(recently.has('a')).toBe(false)
  recently.add('a')
  nowMs -= 500
  expect(recently.has('a')).toBe(false)
  for (const name of ['b', 'c', 'b', 'd']) recently.add(name)
  expect(['a', 'b', 'c', 'd'].map((name) => recently.has(name))).toEqual([false, true, false, true])
  recently.remove('b')
  expect(recently.has('b')).toBe(false)
})
