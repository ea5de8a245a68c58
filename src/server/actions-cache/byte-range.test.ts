import fc from 'fast-check'
import { expect, test } from 'vitest'
import { byteRange } from './byte-range.ts'

const size = fc.nat({ max: 40 })

/** What RFC 9110 says of one range, byte by byte. */
function selected(first: number | undefined, last: number | undefined, sizeBytes: number): number[] {
  const all = Array.from({ length: sizeBytes }, (_, i) => i)
  if (first === undefined) return last === undefined || last === 0 ? [] : all.slice(-last)
  return all.filter((i) => i >= first && (last === undefined || i <= last))
}

test('selects what the RFC selects', () => {
  const end = fc.option(fc.nat({ max: 60 }), { nil: undefined })
  fc.assert(
    fc.property(size, end, end, (sizeBytes, first, last) => {
      const range = byteRange(`bytes=${first ?? ''}-${last ?? ''}`, sizeBytes)
      const bytes = selected(first, last, sizeBytes)
      const isNone = first === undefined && last === undefined
      const isBackward = first !== undefined && last !== undefined && last < first
      if (isNone || isBackward) expect(range).toBe('whole')
      else if (bytes.length === 0) expect(range).toBe('unsatisfiable')
      else expect(range).toEqual({ offset: bytes[0], length: bytes.length })
    }),
    { numRuns: 500 },
  )
})

test.each([
  undefined,
  '',
  'bytes=',
  'bytes=-',
  'items=0-1',
  'bytes=0-1,3-4',
  'bytes=a-b',
  'bytes=1',
  `bytes=${'9'.repeat(16)}-`,
])('takes %s for no range', (header) => {
  expect(byteRange(header, 10)).toBe('whole')
})
