import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatSize, parseSize } from './size.ts'

test.each([
  ['20MB', 20_000_000],
  ['2GiB', 2 * 1024 ** 3],
  ['2Gi', 2 * 1024 ** 3],
  ['512', 512],
  ['512B', 512],
  ['1.5 G', 1_500_000_000],
  [' 64 kib ', 65_536],
  ['.5k', 500],
  ['0', 0],
])('%j is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test.each(['', 'MB', '-1', '1e3', '2 iB', '20 MBs', '1,5GB', '99999999999P', 'NaN', '1..2'])(
  '%j is refused',
  (text) => {
    expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'usage' }))
  },
)

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [2_000_000, '2.0 MB'],
  [12_345_678, '12 MB'],
  [999_499, '999 kB'],
  [999_600, '1.0 MB'],
])('%d bytes is printed as %j', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text)
})

test('what is printed can be read again, within its precision', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
      expect(Math.abs(parseSize(formatSize(bytes)) - bytes)).toBeLessThanOrEqual(bytes * 0.06)
    }),
  )
})
