import { expect, test } from 'vitest'
import { ago, dateAndTime, pinText } from './when.ts'

test.each([
  [0, 'just now'],
  [9_999, 'just now'],
  [10_000, '10 s ago'],
  [59_999, '59 s ago'],
  [60_000, '1 min ago'],
  [3_600_000, '1 h ago'],
  [86_399_999, '23 h ago'],
  [86_400_000 * 40, '40 d ago'],
  [-5_000_000, 'just now'],
])('%d ms ago is %s', (ms, said) => {
  expect(ago(1_000_000_000_000 - ms, 1_000_000_000_000)).toBe(said)
})

test('a date is in the time zone of who reads it', () => {
  expect(dateAndTime(new Date(2026, 10, 5, 7, 8).getTime())).toBe('2026-11-05 07:08')
})

test('a pin says how long it holds', () => {
  expect(pinText(undefined, 0)).toBe('')
  expect(pinText(Number.POSITIVE_INFINITY, 0)).toBe('for ever')
  expect(pinText(90_000_000, 3_600_000)).toBe('1 d')
})
