import fc from 'fast-check'
import { expect, test } from 'vitest'
import { progressLine } from './progress-line.ts'

const paint = (_: string, text: string) => text

test('says how far it is and what runs', () => {
  const progress = { total: 9, done: 3, hits: 1, running: ['build', 'test'] }
  expect(progressLine(progress, 0, { columns: 80, paint })).toBe('⠋ 3/9 · 1 hit · build, test')
  expect(progressLine(progress, 1, { columns: 26, paint })).toBe('⠙ 3/9 · 1 hit · build +1')
})

test('never fills the line, however narrow', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 30 })),
      fc.integer({ min: 10, max: 200 }),
      (running, columns) => {
        expect(progressLine({ total: 99, done: 10, hits: 5, running }, 3, { columns, paint }).length).toBeLessThan(
          columns,
        )
      },
    ),
  )
})
