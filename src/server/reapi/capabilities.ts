import {
  CapabilitiesDefinition,
  Compressor_Value,
  DigestFunction_Value,
  type ServerCapabilities,
  SymlinkAbsolutePathStrategy_Value,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { type GrpcMethod, grpcService } from '../grpc/service.ts'

export interface CapabilitiesOptions {
  /** Of the blobs in one batch. */
  readonly maxBatchBytes: number
  /** Content bytes of a chunk, as FastCDC aims at them. */
  readonly averageChunkBytes: number
}

/**
 * REAPI's Capabilities. Asked for first and by everyone, so it is answered without a token, too: what needs one says so
 * itself. Every instance has the same.
 */
export function capabilitiesService(options: CapabilitiesOptions): GrpcMethod[] {
  return grpcService(CapabilitiesDefinition, {
    getCapabilities: ['none', async () => capabilitiesFor(options)],
  })
}

const NO_SUFFIX = { patch: 0, prerelease: '' }
/** With `output_files` and `output_directories` in results, which are given back as they came. */
const LOW_VERSION = { major: 2, minor: 0, ...NO_SUFFIX }
/**
 * 2.1 adds `output_paths` and `output_symlinks`, 2.2 platforms in actions, 2.3 a time of execution: all of them part of what is
 * kept and given back. What came after asks nothing of a cache but what it announces below.
 */
const HIGH_VERSION = { major: 2, minor: 11, ...NO_SUFFIX }

function capabilitiesFor(options: CapabilitiesOptions): ServerCapabilities {
  return {
    cacheCapabilities: {
      digestFunctions: [DigestFunction_Value.SHA256],
      // Also to who may not: Bazel 4 ends a build where this is false, and only warns of a result that is refused.
      actionCacheUpdateCapabilities: { updateEnabled: true },
      maxBatchTotalSizeBytes: options.maxBatchBytes,
      // Links are text here; whoever restores one decides whether it may lead anywhere.
      symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy_Value.ALLOWED,
      supportedCompressors: [Compressor_Value.ZSTD],
      supportedBatchUpdateCompressors: [Compressor_Value.ZSTD],
      maxCasBlobSizeBytes: 0,
      splitBlobSupport: true,
      spliceBlobSupport: true,
      fastCdc2020Params: { avgChunkSizeBytes: options.averageChunkBytes, seed: 0 },
    },
    lowApiVersion: LOW_VERSION,
    highApiVersion: HIGH_VERSION,
  }
}
