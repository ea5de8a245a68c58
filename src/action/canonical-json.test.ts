import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson } from './canonical-json.ts'

test('is JSON of the same value, whatever the order of members', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value))
      expect(JSON.parse(canonicalJson(plain))).toEqual(plain)
    }),
  )
  expect(canonicalJson({ b: 1, a: [{ d: null, c: 'x' }], gone: undefined })).toBe('{"a":[{"c":"x","d":null}],"b":1}')
})

test.each([
  ['a function', () => 1],
  ['a Map', new Map()],
  ['a date', new Date()],
  ['NaN', Number.NaN],
  ['a bigint', 1n],
  ['undefined in a list', [undefined]],
])('%s is refused', (_name, value) => {
  expect(() => canonicalJson({ at: value })).toThrow(expect.objectContaining({ code: 'usage' }))
})

test('a cycle is refused, the same object twice is not', () => {
  const a: Record<string, unknown> = {}
  a.self = a
  expect(() => canonicalJson(a)).toThrow('at .self')
  const shared = { x: 1 }
  expect(canonicalJson([shared, shared])).toBe('[{"x":1},{"x":1}]')
})
