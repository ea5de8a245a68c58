import type { Digest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { PreconditionFailure } from '../../proto/google/rpc/error_details.ts'
import type { BlobStore, Scope } from '../../store/contracts.ts'
import { directDigests, namedBlobs } from '../../store/named-blobs.ts'
import { readWhole } from '../../store/read-whole.ts'

/** They go out in a trailer, of which clients take 8 KiB: 50 are 7 KiB in Base64. */
const MOST_VIOLATIONS = 50
const TYPE_URL = 'type.googleapis.com/google.rpc.PreconditionFailure'

/** The status for a result that was refused since blobs are missing: says which, as REAPI has it for Execute. */
export async function missingBlobs(
  blobs: BlobStore,
  scope: Scope,
  result: ActionResult,
  signal: AbortSignal,
): Promise<GrpcStatus> {
  const direct = directDigests(result)
  const named = await namedBlobs(result, (digest) => readWhole(blobs, scope, digest, signal))
  const missing = await blobs.missing(scope, named?.digests ?? direct, signal)
  if (named === undefined && missing.length === 0)
    return new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'A blob that the result names as a tree or a directory is none.')
  return new GrpcStatus(
    GrpcCode.FAILED_PRECONDITION,
    `The result was not kept: ${missing.length} of the blobs that it names are not there.`,
    [
      {
        typeUrl: TYPE_URL,
        value: Buffer.from(PreconditionFailure.encode({ violations: violations(missing) }).finish()),
      },
    ],
  )
}

function violations(missing: readonly Digest[]): PreconditionFailure['violations'] {
  return missing.slice(0, MOST_VIOLATIONS).map(({ hash, sizeBytes }) => ({
    type: 'MISSING',
    subject: `blobs/${hash}/${sizeBytes}`,
    description: '',
  }))
}
