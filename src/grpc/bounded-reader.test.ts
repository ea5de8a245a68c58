import { expect, test } from 'vitest'
import { FindMissingBlobsRequest } from '../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { boundedReader } from './bounded-reader.ts'
import { GrpcCode } from './status.ts'

const MIB = 1 << 20
const DIGEST_TAG = 0x12
const FILE_TAG = 0x12
const METADATA_TAG = 0x4a
const AUXILIARY_TAG = 0x5a

/** So many elements without content: two bytes each, and two steps. */
function empties(tag: number, count: number): Buffer {
  return Buffer.alloc(2 * count, Buffer.from([tag, 0]))
}

function within(tag: number, inner: Uint8Array): Buffer {
  const length = inner.length
  const varint = [(length & 127) | 128, ((length >> 7) & 127) | 128, ((length >> 14) & 127) | 128, length >> 21]
  return Buffer.concat([Buffer.from([tag, ...varint]), inner])
}

const tooMany = expect.objectContaining({ code: GrpcCode.RESOURCE_EXHAUSTED })

test('as many fields as are read are read, and one more is refused', () => {
  const decode = (count: number) => FindMissingBlobsRequest.decode(boundedReader(empties(DIGEST_TAG, count)))
  expect(decode(300_000).blobDigests).toHaveLength(300_000)
  expect(() => decode(300_001)).toThrow(tooMany)
})

test('those of messages within messages count, too', () => {
  const files = within(FILE_TAG, empties(FILE_TAG, 300_001))
  expect(() => ActionResult.decode(boundedReader(files))).toThrow(tooMany)
  const metadata = within(METADATA_TAG, empties(AUXILIARY_TAG, 300_001))
  expect(() => ActionResult.decode(boundedReader(metadata))).toThrow(tooMany)
})

test('what is as large as a message may be, and full of what is sent by the thousand, is read', () => {
  const digest = { hash: 'a'.repeat(64), sizeBytes: 1 }
  const file = { path: 'a', digest, isExecutable: true, contents: Buffer.alloc(0) }
  const count = Math.ceil((4 * MIB) / 76)
  const message = ActionResult.encode({
    ...ActionResult.decode(new Uint8Array(0)),
    outputFiles: Array.from({ length: count }, () => file),
  }).finish()
  expect(message.length).toBeGreaterThan(4 * MIB)
  expect(ActionResult.decode(boundedReader(message)).outputFiles).toHaveLength(count)
})
