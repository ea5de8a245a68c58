import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type BatchUpdateBlobsResponse,
  Compressor_Value,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { Scope } from '../../store/contracts.ts'
import { statusOf } from '../grpc/fault-status.ts'
import type { GrpcCall } from '../grpc/service.ts'
import type { Served } from '../protocol.ts'
import { blobDigestArgument, checkDigestFunction } from './digest-argument.ts'
import { type OnFault, refusalOf, tellFault } from './faults.ts'
import { MAX_BATCH_BYTES } from './limits.ts'
import { scopeOf } from './scope.ts'

/** As many as fit into a message with a digest each; to refuse each of more by itself took a minute and gigabytes. */
const MOST_BLOBS = 1 << 16

type Store = Pick<Served, 'blobs' | 'frames'> & { readonly onFault: OnFault }

/** Keeps what it can of the blobs, all at once, and says of each what came of it. */
export async function batchUpdate(
  store: Store,
  { instanceName, requests, digestFunction }: BatchUpdateBlobsRequest,
  { signal }: GrpcCall,
): Promise<BatchUpdateBlobsResponse> {
  checkDigestFunction(digestFunction)
  const scope = scopeOf(instanceName)
  if (requests.length > MOST_BLOBS)
    throw new GrpcStatus(
      GrpcCode.INVALID_ARGUMENT,
      `The batch has ${requests.length} blobs; ${MOST_BLOBS} is the most.`,
    )
  const bytes = requests.reduce((sum, { data }) => sum + data.length, 0)
  if (bytes > MAX_BATCH_BYTES)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `The batch has ${bytes} bytes; ${MAX_BATCH_BYTES} is the most.`)
  const outcomes = await Promise.allSettled(requests.map((request) => keep(store, scope, request, signal)))
  let isTold = false
  const statusAt = (i: number) => {
    const outcome = outcomes[i] as PromiseSettledResult<void>
    if (outcome.status === 'fulfilled') return OK
    const { code, message } = statusOf(refusalOf(outcome.reason))
    // A full disk is told of once, and not for each of a thousand blobs.
    if (code !== GrpcCode.INVALID_ARGUMENT && !isTold) tellFault(outcome.reason, signal, store.onFault)
    isTold ||= code !== GrpcCode.INVALID_ARGUMENT
    return { code, message, details: [] }
  }
  return { responses: requests.map(({ digest }, i) => ({ digest, status: statusAt(i) })) }
}

const OK = { code: GrpcCode.OK, message: '', details: [] }

async function keep(
  { blobs, frames }: Store,
  scope: Scope,
  { digest: said, data, compressor }: BatchUpdateBlobsRequest_Request,
  signal: AbortSignal,
): Promise<void> {
  const digest = blobDigestArgument(said, 'The digest of a blob')
  if (compressor === Compressor_Value.ZSTD) return frames.writeFrame(scope, digest, data, signal)
  if (compressor !== Compressor_Value.IDENTITY)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'Data is compressed by zstd, or not at all.')
  const found = digestOf(data)
  if (found.hash !== digest.hash || found.sizeBytes !== digest.sizeBytes)
    throw new GrpcStatus(
      GrpcCode.INVALID_ARGUMENT,
      `The bytes are not those of blob ${digest.hash}: they are ${found.hash}, of ${found.sizeBytes} bytes.`,
    )
  await blobs.write(scope, digest, data, signal)
}
