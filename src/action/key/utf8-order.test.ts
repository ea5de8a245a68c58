import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareUtf8 } from './utf8-order.ts'

test('is the order of the bytes', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', 'é', '\u{ffff}', '\u{e000}', '\u{d7ff}', '\u{10000}', '\u{10ffff}', '/', '.'),
  })
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})
