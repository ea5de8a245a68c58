import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, canonicalValue } from './canonical-json.ts'

test('is that of RFC 8785, section 3.2.2 and 3.2.3', () => {
  const value = JSON.parse(
    '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
  )
  expect(canonicalJson(value)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  )
  const sorted = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 }
  expect(Object.values(JSON.parse(canonicalJson(sorted)))).toHaveLength(7)
  expect(canonicalJson(sorted)).toBe('{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}')
})

test('reads what it wrote, and nothing else of the same value', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const text = canonicalJson(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalValue(Buffer.from(text))).toEqual(JSON.parse(text))
      expect(canonicalValue(Buffer.from(` ${text}`))).toBeUndefined()
    }),
    { numRuns: 200 },
  )
})

test.each(['', '[]', '"a"', 'null', '7', '{"b":1,"a":2}', '{"a":1,"a":1}', '{"a":1.0}', '{"a":"\\u0041"}', '\ufeff{}'])(
  '%s is no canonical object',
  (text) => {
    expect(canonicalValue(Buffer.from(text))).toBeUndefined()
  },
)

test('bytes that are no UTF-8 are none', () => {
  expect(canonicalValue(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBeUndefined()
})
