import { ContentAddressableStorageDefinition } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { type GrpcMethod, grpcService } from '../grpc/service.ts'
import type { Served } from '../protocol.ts'
import { batchRead } from './batch-read.ts'
import { batchUpdate } from './batch-update.ts'
import type { OnFault } from './faults.ts'
import { findMissing } from './find-missing.ts'
import { findMissingRequest } from './find-missing-request.ts'
import { getTree } from './get-tree.ts'
import { spliceBlob, splitBlob } from './split-splice.ts'

export interface CasOptions {
  readonly onFault: OnFault
}

/** REAPI's ContentAddressableStorage. What cannot be read is not there, whyever. */
export function casService({ blobs, frames }: Pick<Served, 'blobs' | 'frames'>, { onFault }: CasOptions): GrpcMethod[] {
  const store = { blobs, frames, onFault }
  return grpcService(DEFINITION, {
    findMissingBlobs: ['read', (request, call) => findMissing(blobs, request, call)],
    batchUpdateBlobs: ['write', (request, call) => batchUpdate(store, request, call)],
    batchReadBlobs: ['read', (request, call) => batchRead(store, request, call)],
    getTree: ['read', (request, call) => getTree(store, request, call)],
    splitBlob: ['read', (request, call) => splitBlob(store, request, call)],
    spliceBlob: ['write', (request, call) => spliceBlob(store, request, call)],
  })
}

const { methods } = ContentAddressableStorageDefinition
const DEFINITION = {
  ...ContentAddressableStorageDefinition,
  methods: { ...methods, findMissingBlobs: { ...methods.findMissingBlobs, requestType: findMissingRequest } },
}
