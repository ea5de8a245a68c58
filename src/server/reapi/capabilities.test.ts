import { expect, test } from 'vitest'
import type { ServerCapabilities } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { Access } from '../access.ts'
import { capabilitiesService } from './capabilities.ts'
import { call } from './unary-call.fixture.ts'

function capabilities(access: Access = 'write'): Promise<ServerCapabilities> {
  const methods = capabilitiesService({ maxBatchBytes: 4_000_000, averageChunkBytes: 524_288 })
  expect(methods.map(({ path, needs }) => [path, needs])).toEqual([
    ['/build.bazel.remote.execution.v2.Capabilities/GetCapabilities', 'none'],
  ])
  return call(methods, 'GetCapabilities', { instanceName: 'any' }, { access })
}

test('says what is served', async () => {
  expect(await capabilities()).toEqual({
    cacheCapabilities: {
      digestFunctions: [1],
      actionCacheUpdateCapabilities: { updateEnabled: true },
      cachePriorityCapabilities: undefined,
      maxBatchTotalSizeBytes: 4_000_000,
      symlinkAbsolutePathStrategy: 2,
      supportedCompressors: [1],
      supportedBatchUpdateCompressors: [1],
      maxCasBlobSizeBytes: 0,
      splitBlobSupport: true,
      spliceBlobSupport: true,
      fastCdc2020Params: { avgChunkSizeBytes: 524_288, seed: 0 },
      repMaxCdcParams: undefined,
    },
    deprecatedApiVersion: undefined,
    lowApiVersion: { major: 2, minor: 0, patch: 0, prerelease: '' },
    highApiVersion: { major: 2, minor: 11, patch: 0, prerelease: '' },
  })
})

test.each<Access>(['read', 'none'])(
  'are the same with access %s: Bazel would end a build that may not put results',
  async (access) => {
    expect(await capabilities(access)).toEqual(await capabilities('write'))
  },
)
