import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from './duration.ts'

test.each([
  ['7d', 604_800_000],
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1h 30min', 5_400_000],
  ['250 ms', 250],
  ['2w', 1_209_600_000],
  ['1.5s', 1500],
  ['0', 0],
])('%j is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '30', '-1s', 's', '1x', '1h30', '5 minutes', '1s,2s'])('%j is refused', (text) => {
  expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'usage' }))
})

test.each([
  [0, '0 ms'],
  [0.3, '0.3 ms'],
  [9.4, '9 ms'],
  [999.7, '1.0 s'],
  [12_400, '12.4 s'],
  [59_960, '1 min'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
  [86_400_000 * 4 + 3_600_000 * 3, '4 d 3 h'],
])('%d ms is printed as %j', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test('what is printed can be read again, within its precision', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e11 }), (ms) => {
      expect(Math.abs(parseDuration(formatDuration(ms)) - ms)).toBeLessThanOrEqual(ms * 0.06)
    }),
  )
})
