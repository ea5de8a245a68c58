import type { FindMissingBlobsResponse } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { BlobStore } from '../../store/contracts.ts'
import type { GrpcCall } from '../grpc/service.ts'
import { blobDigestArgument, checkDigestFunction } from './digest-argument.ts'
import type { FindMissingRequest } from './find-missing-request.ts'
import { scopeOf } from './scope.ts'

/** Each of the blobs that is not there, once, in the order they were asked for; what is there is protected for a while. */
export async function findMissing(
  blobs: BlobStore,
  { instanceName, blobDigests, digestFunction, isChecked = false }: FindMissingRequest,
  { signal }: GrpcCall,
): Promise<FindMissingBlobsResponse> {
  checkDigestFunction(digestFunction)
  if (!isChecked) for (const digest of blobDigests) blobDigestArgument(digest, 'A digest of blob_digests')
  const missing = await blobs.missing(scopeOf(instanceName), blobDigests, signal)
  const names = new Set<string>()
  const isFirst = ({ hash, sizeBytes }: (typeof missing)[number]) => {
    const before = names.size
    return names.add(`${hash}/${sizeBytes}`).size > before
  }
  return { missingBlobDigests: missing.filter(isFirst) }
}
