import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { expect, test } from 'vitest'
import { digestOf } from '../../../digest/sha256.ts'
import {
  BatchReadBlobsResponse,
  Compressor_Value,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { readAnswersIn } from './batch-read-answer.ts'

const bytes = Buffer.from('some bytes')
const whole = {
  ...{ digest: digestOf(bytes), data: bytes, compressor: Compressor_Value.ZSTD },
  status: { code: 5, message: 'It is not here.', details: [] },
}
const encoded = BatchReadBlobsResponse.encode({
  responses: [whole, { data: Buffer.alloc(0), compressor: Compressor_Value.IDENTITY }],
}).finish()

test('what the generated code wrote is read, and the data are not copied', () => {
  const [first, second, ...others] = readAnswersIn(encoded)
  expect(first).toEqual({ ...whole, data: new Uint8Array(bytes) })
  expect(first?.data.buffer).toBe(encoded.buffer)
  expect(second).toEqual({ digest: undefined, data: new Uint8Array(0), status: undefined, compressor: 0 })
  expect(others).toEqual([])
  expect(readAnswersIn(new Uint8Array(0))).toEqual([])
})

test('fields that nobody knows, or of another type, are read over; what is cut off is no message', () => {
  const answer = new BinaryWriter()
    .uint32(8)
    .int32(1)
    .uint32(18)
    .bytes(bytes)
    .uint32(34)
    .bytes(bytes)
    .uint32(800)
    .int32(7)
  const message = new BinaryWriter().uint32(10).bytes(answer.finish()).uint32(16).int32(9).finish()
  expect(readAnswersIn(message)).toEqual([
    { digest: undefined, data: new Uint8Array(bytes), status: undefined, compressor: 0 },
  ])
  for (let end = 1; end < message.length - 2; end++) expect(() => readAnswersIn(message.subarray(0, end))).toThrow()
})
