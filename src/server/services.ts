import type { GrpcMethod } from './grpc/service.ts'
import type { Served } from './protocol.ts'
import { actionCacheService } from './reapi/action-cache.ts'
import { capabilitiesService } from './reapi/capabilities.ts'
import { MAX_BATCH_BYTES } from './reapi/limits.ts'
import type { Fault } from './watcher.ts'

export interface ServicesOptions {
  readonly onFault: (fault: Fault) => void
}

/** What is served over gRPC: the methods, and what they hold until they are disposed of. */
export interface Services extends AsyncDisposable {
  readonly methods: readonly GrpcMethod[]
}

/** A line each. */
export function openServices(served: Served, options: ServicesOptions): Services {
  const faultsOf = (protocol: string) => ({ onFault: (error: unknown) => options.onFault({ protocol, error }) })
  const methods = [
    ...capabilitiesService({
      isReadOnly: false,
      maxBatchBytes: MAX_BATCH_BYTES,
      averageChunkBytes: AVERAGE_CHUNK_BYTES,
    }),
    ...actionCacheService(served, faultsOf('action-cache')),
  ]
  return { methods, [Symbol.asyncDispose]: async () => undefined }
}

const AVERAGE_CHUNK_BYTES = 512 * 1024
