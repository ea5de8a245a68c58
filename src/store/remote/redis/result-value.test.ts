import { expect, test } from 'vitest'
import { decodedResult, encodedResult } from './result-value.ts'

const kept = { actionBytes: -1, encoded: Buffer.from('a result') }

test('a result comes back from under its own key, and from nowhere else', () => {
  const value = encodedResult('key', kept)
  expect(decodedResult('key', value)).toEqual(kept)
  expect(decodedResult('other', value)).toBeUndefined()
})

test('with any byte changed, or some gone, it is none', () => {
  const value = encodedResult('key', kept)
  for (let at = 0; at < value.length; at++) {
    const damaged = Buffer.from(value)
    damaged[at] = (damaged[at] as number) ^ 1
    expect(decodedResult('key', damaged)).toBeUndefined()
    expect(decodedResult('key', value.subarray(0, at))).toBeUndefined()
  }
})
