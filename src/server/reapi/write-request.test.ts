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
      const generated = outcome(() => known(WriteRequest.decode(bytes)))
      const found = outcome(() => writeRequest.decode(bytes))
      // A field with the number 0, or a group that ends and never began, ends the message there; here it is none.
      if (found !== undefined) expect(found).toEqual(generated)
    }),
    { numRuns: 2000 },
  )
})

/** What is not known is no part of an upload. */
function known({ _unknownFields, ...request }: WriteRequest): WriteRequest {
  return request
}

function outcome<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}

/** As it comes in two pieces of which the first is a whole number of data's: what the requests that stand for it add up to. */
function addedUp(bytes: Uint8Array, cuts: readonly [number, number]): WriteRequest | undefined {
  const divided = writeRequest.divide(bytes.subarray(0, cuts[0]), bytes.length)
  if (divided === undefined) return undefined
  const data = bytes.subarray(divided.dataAt)
  const pieces = [data.subarray(0, cuts[1]), data.subarray(cuts[1])] as const
  const first = divided.part(pieces[0], 0, false) as WriteRequest
  const last = divided.part(pieces[1], pieces[0].length, true) as WriteRequest
  expect(first.finishWrite).toBe(false)
  expect(last.writeOffset).toBe(first.writeOffset + pieces[0].length)
  expect(pieces[0].length === 0 || last.resourceName === '').toBe(true)
  return { ...first, finishWrite: last.finishWrite, data: Buffer.concat([first.data, last.data]) }
}

it('divides what ends in its data, once all before is there', () => {
  fc.assert(
    fc.property(request, fc.nat(300), fc.nat(300), (wanted, cut, within) => {
      fc.pre(wanted.data.length > 0)
      const bytes = WriteRequest.encode(wanted).finish()
      const head = bytes.length - wanted.data.length
      const found = addedUp(bytes, [cut, within % wanted.data.length])
      if (cut < head) expect(found).toBeUndefined()
      else expect(found).toEqual(wanted)
    }),
  )
})

it('divides nothing that other fields follow, or that is none', () => {
  const bytes = WriteRequest.encode({ resourceName: 'x', writeOffset: 0, finishWrite: false, data: Buffer.alloc(9) })
  const message = bytes.finish()
  expect(writeRequest.divide(message, message.length)?.dataAt).toBe(message.length - 9)
  expect(writeRequest.divide(message, message.length + 1)).toBeUndefined()
  expect(writeRequest.divide(message, message.length - 1)).toBeUndefined()
  expect(writeRequest.divide(Buffer.from([0x07, 0x52, 0]), 3)).toBeUndefined()
})
