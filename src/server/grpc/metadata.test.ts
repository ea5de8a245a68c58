import { expect, test } from 'vitest'
import { timeoutMsOf } from './metadata.ts'

test.each([
  ['1n', 1],
  ['1500u', 2],
  ['20m', 20],
  ['60S', 60_000],
  ['2M', 120_000],
  ['1H', 3_600_000],
  ['0m', 0],
  ['99999999H', 2 ** 31 - 1],
])('a timeout of %s is %i ms', (value, ms) => {
  expect(timeoutMsOf({ 'grpc-timeout': value })).toBe(ms)
})

test('none is no deadline', () => {
  expect(timeoutMsOf({})).toBeUndefined()
})
