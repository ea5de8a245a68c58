import { expect, test } from 'vitest'
import { outputDifferences } from './output-differences.ts'
import type { ResultEntry } from './result-tree.ts'

const file = (path: string, letter: string, isExecutable = false): ResultEntry => ({
  ...{ kind: 'file', path, digest: { hash: letter.repeat(64), sizeBytes: 1 }, isExecutable },
})
const folder = (path: string): ResultEntry => ({ kind: 'directory', path })
const link = (path: string, target: string): ResultEntry => ({ kind: 'link', path, target })

test('names what a restore of each would make otherwise, sorted', () => {
  const before = [
    folder('dist'),
    ...[file('dist/same', 'a'), file('dist/z', 'a'), file('dist/bit', 'a'), file('dist/gone', 'a')],
    ...[link('dist/link', 'one'), link('dist/still', 'x')],
  ]
  const after = [
    folder('dist'),
    ...[file('dist/new', 'a'), file('dist/bit', 'a', true), file('dist/z', 'b'), file('dist/same', 'a')],
    ...[link('dist/link', 'two'), link('dist/still', 'x')],
  ]
  const all = ['dist/bit', 'dist/gone', 'dist/link', 'dist/new', 'dist/z']
  expect(outputDifferences(before, after)).toEqual(all)
  expect(outputDifferences(after, before)).toEqual(all)
})

test('a folder is told of where it is empty, not for what is in it', () => {
  expect(outputDifferences([folder('a'), folder('a/b')], [folder('a'), folder('a/b'), file('a/b/c', 'a')])).toEqual([
    'a/b',
    'a/b/c',
  ])
  expect(outputDifferences([folder('a')], [])).toEqual(['a'])
  expect(outputDifferences([file('a', 'a')], [folder('a'), file('a/b', 'a')])).toEqual(['a', 'a/b'])
  expect(outputDifferences([folder('a'), folder('ab')], [folder('ab'), folder('a')])).toEqual([])
})
