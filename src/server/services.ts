import { HealthDefinition } from '../proto/grpc/health/v1/health.ts'
import { memoryFleetLeases } from '../store/memory/memory-fleet-leases.ts'
import { healthService } from './grpc/health.ts'
import { reflectionService } from './grpc/reflection.ts'
import type { GrpcMethod } from './grpc/service.ts'
import { leasesService } from './leases/leases-service.ts'
import type { Served } from './protocol.ts'
import { actionCacheService } from './reapi/action-cache.ts'
import { byteStreamService } from './reapi/byte-stream.ts'
import { capabilitiesService } from './reapi/capabilities.ts'
import { casService } from './reapi/cas.ts'
import { AVERAGE_CHUNK_BYTES, MAX_BATCH_BYTES } from './reapi/limits.ts'
import { remoteAssetServices } from './reapi/remote-asset.ts'
import { Uploads } from './reapi/uploads.ts'
import { Room } from './room.ts'
import type { Fault } from './watcher.ts'

/** Of blobs of up to 1 MiB that come and go in one piece: so many at once keep all processors busy. */
const ROOM_BYTES = 32 << 20

export interface ServicesOptions {
  readonly onFault: (fault: Fault) => void
}

/** What is served over gRPC: the methods, and what they hold until they are disposed of. */
export interface Services extends AsyncDisposable {
  readonly methods: readonly GrpcMethod[]
  /** From now on whoever asks hears that work is taken. */
  begin(): void
  /** That it is not for now. */
  pause(): void
  /** And that it is not any more; nobody who watches for it holds the end up. */
  end(): void
}

/** A line each. */
export function openServices(served: Served, options: ServicesOptions): Services {
  const faultsOf = (protocol: string) => ({ onFault: (error: unknown) => options.onFault({ protocol, error }) })
  const uploads = new Uploads(served.blobs)
  const room = new Room(ROOM_BYTES)
  const leases = leasesService(served.fleetLeases ?? memoryFleetLeases())
  const methods = [
    ...capabilitiesService({
      maxBatchBytes: MAX_BATCH_BYTES,
      averageChunkBytes: AVERAGE_CHUNK_BYTES,
    }),
    ...actionCacheService(served, faultsOf('action-cache')),
    ...casService(served, faultsOf('cas')),
    ...byteStreamService(served, { uploads, room, ...faultsOf('byte-stream') }),
    ...remoteAssetServices(served, faultsOf('remote-asset')),
    ...leases.methods,
  ]
  const names = [...new Set(methods.map(({ path }) => path.slice(1, path.lastIndexOf('/'))))]
  const health = healthService(names)
  return {
    methods: [...methods, ...health.methods, ...reflectionService([...names, HealthDefinition.fullName])],
    begin: () => health.serve(),
    pause: () => health.pause(),
    end() {
      health.end()
      leases.end()
    },
    [Symbol.asyncDispose]: () => uploads[Symbol.asyncDispose](),
  }
}
