import fc from 'fast-check'
import { expect, test } from 'vitest'
import { colourStripper } from './stream-colour.ts'

function stripped(...pieces: (string | Uint8Array)[]): string {
  const stripper = colourStripper()
  const kept = pieces.map((piece) => stripper.push(Buffer.from(piece as string)).slice())
  return Buffer.concat([...kept, stripper.end()]).toString('latin1')
}

test('colour codes go, and nothing else', () => {
  expect(stripped('\x1b[1;31mred\x1b[0m plain \x1b[38:2::1:2:3mtrue\x1b[m')).toBe('red plain true')
  expect(stripped('\x1b[2J\x1b[1A\x1b]0;title\x07 \x1b[ q')).toBe('\x1b[2J\x1b[1A\x1b]0;title\x07 \x1b[ q')
})

test("a compiler's erase to the end of the line goes with its colour, and stays where it is alone", () => {
  expect(stripped('\x1b[01m\x1b[Ka.c:1:\x1b[m\x1b[K error')).toBe('a.c:1: error')
  expect(stripped('a\x1b[Kb')).toBe('a\x1b[Kb')
})

test('a code may be cut anywhere', () => {
  const text = 'a\x1b[1;31m\x1b[Kb\x1b[0mc'
  for (let at = 0; at <= text.length; at++) expect(stripped(text.slice(0, at), text.slice(at))).toBe('abc')
})

test('a code that never ends is text', () => {
  expect(stripped('a\x1b[1;')).toBe('a\x1b[1;')
  expect(stripped(`\x1b[${'1;'.repeat(100)}m`)).toBe(`\x1b[${'1;'.repeat(100)}m`)
})

test('however a stream is cut, the text is the same; without an escape it is untouched', () => {
  const byte = fc.oneof(fc.constantFrom(0x1b, 0x5b, 0x6d, 0x4b, 0x31, 0x3b), fc.integer({ min: 0, max: 255 }))
  fc.assert(
    fc.property(fc.array(fc.array(byte, { maxLength: 12 }), { maxLength: 8 }), (pieces) => {
      const whole = Uint8Array.from(pieces.flat())
      expect(stripped(...pieces.map((piece) => Uint8Array.from(piece)))).toBe(stripped(whole))
      if (!whole.includes(0x1b)) expect(stripped(whole)).toBe(Buffer.from(whole).toString('latin1'))
    }),
  )
})
