import { expect, test } from 'vitest'
import { missCurve } from './miss-curve.ts'

test('where lines meet, the first is seen', () => {
  const lines = missCurve(
    [
      { letter: 'A', values: [1, 0] },
      { letter: 'B', values: [1, 1] },
    ],
    ['1', '2'],
    40,
  )
  expect(lines[0]).toMatch(/\|AB*$|\|A+B+$/)
})
