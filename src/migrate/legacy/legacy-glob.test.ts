import { expect, test } from 'vitest'
import { legacyGlob } from './legacy-glob.ts'

/** As globset 0.4 documents and tests its defaults. */
const CASES: readonly [pattern: string, path: string, matches: boolean][] = [
  ['src/*.txt', 'src/a.txt', true],
  ['src/*.txt', 'src/deep/a.txt', true],
  ['src/*.txt', 'lib/src/a.txt', false],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', true],
  ['a?c', 'ac', false],
  ['*.c', '.c', true],
  ['**', 'a/b', true],
  ['**/x', 'x', true],
  ['**/x', 'a/b/x', true],
  ['**/x', 'ax', false],
  ['out/**', 'out/a/b', true],
  ['out/**', 'out', false],
  ['out/**', 'outer/a', false],
  ['a/**/b', 'a/b', true],
  ['a/**/b', 'a/x/y/b', true],
  ['a/**/b', 'axb', false],
  ['a/**/b', 'a/xb', false],
  ['a**b', 'a/x/b', true],
  ['src', 'src/a', false],
  ['a.txt', 'aXtxt', false],
  ['A', 'a', false],
  ['{a,b*}.c', 'bx.c', true],
  ['{a,b}.c', 'c.c', false],
  ['a,b', 'a,b', true],
  ['a,b', 'a', false],
  ['[a-c]x', 'bx', true],
  ['[!a-c]x', 'bx', false],
  ['[^a-c]x', 'dx', true],
  ['[]]x', ']x', true],
  ['[a^]x', '^x', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['a(b)+$', 'a(b)+$', true],
]

test.each(CASES)('%s and %s', (pattern, path, matches) => {
  expect(legacyGlob([pattern])(path)).toBe(matches)
})

test('one of several is enough, none matches nothing', () => {
  expect(legacyGlob(['x', 'a*'])('ab')).toBe(true)
  expect(legacyGlob([])('')).toBe(false)
})
