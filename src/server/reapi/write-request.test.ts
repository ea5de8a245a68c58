import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WriteRequest } from '../../proto/google/bytestream/bytestream.ts'
import { writeRequest } from './write-request.ts'

const request = fc.record({
  resourceName: fc.string({ maxLength: 200 }),
  writeOffset: fc.oneof(fc.nat(), fc.constantFrom(-1, Number.MAX_SAFE_INTEGER, 2 ** 40)),
  finishWrite: fc.boolean(),
  data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
})

it('reads as generated code does, without copying the data', () => {
  fc.assert(
    fc.property(request, (wanted) => {
      const bytes = WriteRequest.encode(wanted).finish()
      const found = writeRequest.decode(bytes)
      expect(found).toEqual(wanted)
      if (wanted.data.length > 0) expect(found.data.buffer).toBe(bytes.buffer)
    }),
  )
})

it('takes fields in any order, the last of each, and passes over those it does not know', () => {
  const [one, other] = [
    { writeOffset: 3, data: Buffer.from('one') },
    { resourceName: 'other', data: Buffer.from('other') },
  ]
  const unknown = Buffer.from([0x7a, 2, 1, 2, 0x80, 1, 5, 0x25, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8])
  const base = WriteRequest.decode(new Uint8Array(0))
  const parts = [
    { ...base, ...one },
    { ...base, ...other },
  ].map((part) => WriteRequest.encode(part).finish())
  const bytes = Buffer.concat([unknown, parts[0] as Uint8Array, unknown, parts[1] as Uint8Array])
  expect(writeRequest.decode(bytes)).toEqual({ ...base, ...one, ...other })
})

it('throws where generated code does, whatever the bytes are', () => {
  fc.assert(
    fc.property(request, fc.nat(), fc.nat(255), fc.nat(), (wanted, at, byte, cut) => {
      const whole = Buffer.from(WriteRequest.encode(wanted).finish())
      if (whole.length > 0) whole[at % whole.length] = byte
      const bytes = whole.subarray(0, cut % (whole.length + 1))
      const generated = outcome(() => WriteRequest.decode(bytes))
      const found = outcome(() => writeRequest.decode(bytes))
      // A field with the number 0, or a group that ends and never began, ends the message there; here it is none.
      if (found !== undefined) expect(found).toEqual(generated)
    }),
    { numRuns: 2000 },
  )
})

function outcome<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
