import fc from 'fast-check'
import picomatch from 'picomatch'
import { expect, test } from 'vitest'
import { globsMeet } from './glob-overlap.ts'

test.each([
  ['dist/*.js', 'dist/*.js', true],
  ['dist/*.js', 'dist/a*', true],
  ['dist/**', 'dist/js/*.js', true],
  ['**/*.js', 'dist/**', true],
  ['**/a.js', 'dist/b.*', false],
  ['dist/*.js', 'dist/*.css', false],
  ['dist/*.js', 'dist/js/*.js', false],
  ['dist/*/x', 'dist/**/y', false],
  ['a/**/z', '**/b/**', true],
  ['dist/[ab].js', 'dist/*.js', false],
  ['dist/{a,b}.js', 'dist/{a,b}.js', true],
  ['dist/a?.js', 'dist/?b.js', true],
  ['dist/a?.js', 'dist/a.js', false],
])('%s and %s: %s', (one, other, meet) => {
  expect(globsMeet(one, other)).toBe(meet)
  expect(globsMeet(other, one)).toBe(meet)
})

const segment = fc.stringMatching(/^[ab*?]{1,3}$/).filter((text) => !text.includes('**'))
const glob = fc
  .array(fc.oneof(segment, fc.constant('**')), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))
const path = fc.array(fc.stringMatching(/^[ab]{1,3}$/), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))

test('what matches both is found, as the matcher has it', () => {
  fc.assert(
    fc.property(glob, glob, path, (one, other, candidate) => {
      const matches = picomatch(one, { dot: true })(candidate) && picomatch(other, { dot: true })(candidate)
      return !matches || globsMeet(one, other)
    }),
    { numRuns: 2000 },
  )
})
