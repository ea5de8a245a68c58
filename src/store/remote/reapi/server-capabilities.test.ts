import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { expect, test } from 'vitest'
import {
  CacheCapabilities,
  Compressor_Value,
  DigestFunction_Value,
  ServerCapabilities,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { cacheCapabilitiesIn } from './server-capabilities.ts'

const all: ServerCapabilities = {
  ...ServerCapabilities.decode(new Uint8Array(0)),
  lowApiVersion: { major: 2, minor: 0, patch: 0, prerelease: '' },
  cacheCapabilities: {
    ...CacheCapabilities.decode(new Uint8Array(0)),
    digestFunctions: [DigestFunction_Value.SHA256, DigestFunction_Value.BLAKE3],
    actionCacheUpdateCapabilities: { updateEnabled: true },
    maxBatchTotalSizeBytes: 4_000_000,
    supportedCompressors: [Compressor_Value.ZSTD, Compressor_Value.DEFLATE],
    supportedBatchUpdateCompressors: [Compressor_Value.ZSTD],
    splitBlobSupport: true,
  },
}
const found = {
  ...{ digestFunctions: [1, 9], updateEnabled: true, maxBatchTotalSizeBytes: 4_000_000 },
  ...{ compressors: [1, 2], batchUpdateCompressors: [1] },
}

test('what the generated code wrote is read', () => {
  expect(cacheCapabilitiesIn(ServerCapabilities.encode(all).finish())).toEqual(found)
  expect(cacheCapabilitiesIn(new Uint8Array(0))).toBeUndefined()
})

test('the largest number there is, and functions that are not packed, are read over', () => {
  const cache = new BinaryWriter().uint32(8).int32(1).uint32(8).int32(9)
  cache
    .uint32(18)
    .bytes(new Uint8Array([8, 1]))
    .uint32(32)
    .int64(4_000_000)
    .uint32(64)
    .int64('9223372036854775807')
  cache.uint32(48).int32(1).uint32(48).int32(2).uint32(56).int32(1)
  const message = new BinaryWriter().uint32(10).bytes(cache.finish()).finish()
  expect(cacheCapabilitiesIn(message)).toEqual(found)
  expect(() => cacheCapabilitiesIn(message.subarray(0, -3))).toThrow(RangeError)
})
