import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Marks, takenApart, withBlock } from './marked-block.ts'

const MARKS: Marks = { comment: '#', owner: 'tool' }
const BEGIN = '# recue connect tool: begin'
const END = '# recue connect tool: end'

test('a block stands at the end of what is there, a line apart', () => {
  expect(withBlock('', 'a=1\n', MARKS)).toBe(`${BEGIN}\na=1\n${END}\n`)
  expect(withBlock('x\n', 'a=1\n', MARKS)).toBe(`x\n\n${BEGIN}\na=1\n${END}\n`)
  expect(withBlock('x', 'a=1\n', MARKS)).toBe(`x\n\n${BEGIN}\na=1\n${END}\n`)
})

test('it takes the place of an older one, and of no other owner', () => {
  const other = withBlock('x\n', 'b=1\n', { ...MARKS, owner: 'other' })
  const both = withBlock(other, 'a=1\n', MARKS)
  expect(withBlock(both, 'a=2\n', MARKS)).toBe(both.replace('a=1', 'a=2'))
  expect(takenApart(both, { ...MARKS, owner: 'other' }).own).toBe('b=1\n')
})

test('below a heading that is there, without a second one; with it where there is none', () => {
  const text = '[A]\nx = 1\n[B]\ny = 1\n'
  const once = withBlock(text, '[A]\na = 1\n', MARKS, '[A]')
  expect(once).toBe(`[A]\n${BEGIN}\na = 1\n${END}\nx = 1\n[B]\ny = 1\n`)
  expect(withBlock(once, '[A]\na = 2\n', MARKS, '[A]')).toBe(once.replace('a = 1', 'a = 2'))
  const made = withBlock('y = 1\n', '[A]\na = 1\n', MARKS, '[A]')
  expect(made).toBe(`y = 1\n\n${BEGIN}\n[A]\na = 1\n${END}\n`)
  expect(withBlock(made, '[A]\na = 2\n', MARKS, '[A]')).toBe(made.replace('a = 1', 'a = 2'))
})

test('a block whose end somebody took away is none', () => {
  expect(takenApart(`${BEGIN}\na=1\n`, MARKS)).toEqual({ others: `${BEGIN}\na=1\n`, own: undefined })
})

test('what is taken apart keeps its lines where they were', () => {
  const text = withBlock('x\n', 'a=1\n', MARKS)
  const { others, own } = takenApart(`${text}y\n`, MARKS)
  expect(own).toBe('a=1\n')
  expect(others.split('\n')).toEqual(['x', '', '', '', '', 'y', ''])
})

const line = fc.constantFrom('a', '$& $1', '[A]', '', '  x = 1', BEGIN.replace('tool', 'x'))
const linesOf = (minLength: number) =>
  fc.array(line, { minLength, maxLength: 6 }).map((all) => all.map((one) => `${one}\n`).join(''))

test('twice the same is once, and the lines of others stay as they are', () => {
  fc.assert(
    fc.property(linesOf(0), linesOf(1), linesOf(1), (text, block, later) => {
      const once = withBlock(text, block, MARKS)
      expect(withBlock(once, block, MARKS)).toBe(once)
      expect(takenApart(once, MARKS).own).toBe(block)
      const again = withBlock(once, later, MARKS)
      expect(again.startsWith(text)).toBe(true)
      expect(withBlock(again, block, MARKS)).toBe(once)
    }),
  )
})
