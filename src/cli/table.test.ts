import { expect, test } from 'vitest'
import { oneLine, shorten, table } from './table.ts'
import type { Terminal } from './terminal.ts'

const terminal = (columns: number, isTerminal = true): Terminal => ({
  ...{ isTerminal, columns, colours: false },
  paint: (_, text) => text,
})
const columns = [
  { title: 'what', flexible: true },
  { title: 'size', align: 'right' as const },
]

test('columns are as wide as what is in them, numbers on the right', () => {
  const rows = [
    ['a', '10 B'],
    ['longer', '5 kB'],
  ]
  expect(table(columns, rows, terminal(80))).toEqual(['what    size', 'a       10 B', 'longer  5 kB'])
})

test('one column gives way to the width of a terminal; for a program nothing is cut', () => {
  const rows = [['x'.repeat(100), '1 B']]
  for (const line of table(columns, rows, terminal(40))) expect(line.length).toBeLessThanOrEqual(40)
  expect(table(columns, rows, terminal(40))[1]).toMatch(/^x+… +1 B$/)
  expect(table(columns, rows, terminal(40, false))[1]).toContain('x'.repeat(100))
})

test('names cannot break a line or move the cursor', () => {
  expect(oneLine('a\nb\t\x1b[31mc\x7f')).toBe('a\\nb\\t\\x1b[31mc\\x7f')
  expect(table([{ title: '' }], [['a\rb']], terminal(80))).toEqual(['a\\rb'])
})

test('what is cut ends in an ellipsis and is no wider than asked', () => {
  expect(shorten('abcdef', 6)).toBe('abcdef')
  expect(shorten('abcdef', 5)).toBe('abcd…')
  expect(shorten('😀😀😀', 2)).toBe('😀…')
})
