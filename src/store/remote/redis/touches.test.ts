import { expect, test } from 'vitest'
import { Touches } from './touches.ts'

test('a key is touched once in a sixteenth of its time, and again when it was not there', () => {
  let now = 5
  const touches = new Touches(1600, () => now)
  expect(touches.due('a')).toEqual({ args: ['PEXPIRE', 'a', 1600] })
  now += 99
  expect(touches.due('a')).toBeUndefined()
  expect(touches.due('b')).toBeDefined()
  now += 1
  expect(touches.due('a')).toBeDefined()
  touches.forget('a')
  expect(touches.due('a')).toBeDefined()
})

test('what is remembered is bounded', () => {
  const touches = new Touches(1600, () => 0)
  touches.due('first')
  for (let i = 0; i < 50_000; i++) touches.due(`${i}`)
  expect(touches.due('first')).toBeDefined()
  expect(touches.due('49999')).toBeUndefined()
})
