import { asActionDigest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  ActionCacheDefinition,
  type GetActionResultRequest,
  type UpdateActionResultRequest,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup } from '../../store/contracts.ts'
import { EncodedMessage, type GrpcCall, type GrpcMethod, grpcService } from '../grpc/service.ts'
import type { Served } from '../protocol.ts'
import { clientResult } from './client-result.ts'
import { checkDigestFunction, digestArgument } from './digest-argument.ts'
import { wantsNothing, withInlined } from './inlining.ts'
import { missingBlobs } from './missing-blobs.ts'
import { scopeOf } from './scope.ts'

type Store = Pick<Served, 'blobs' | 'actions' | 'usage'>

export interface ActionCacheOptions {
  /** Told of what failed while a client was told of a miss. */
  readonly onFault: (error: unknown) => void
}

/**
 * REAPI's ActionCache. A result is given out only with all its blobs there; a fault of ours is a miss. What a digest of an
 * action names is not looked at: some tools keep other things there than an Action message.
 */
export function actionCacheService(served: Store, options: ActionCacheOptions): GrpcMethod[] {
  return grpcService(ActionCacheDefinition, {
    getActionResult: ['read', (request, call) => getResult(served, request, call, options)],
    updateActionResult: ['write', (request, call) => updateResult(served, request, call)],
  })
}

/** One for all: to make an error takes longer than to look up a result. */
const MISS = new GrpcStatus(GrpcCode.NOT_FOUND, 'There is no such action result.')

/** A result that no client could be sent again is not kept; what is left is room for what is told with it. */
const MOST_RESULT_BYTES = (4 << 20) - (64 << 10)

/** Most look-ups end before anybody could give them up, so the call's signal is asked for only where something is read. */
async function getResult(
  { actions, blobs, usage }: Store,
  request: GetActionResultRequest,
  call: GrpcCall,
  { onFault }: ActionCacheOptions,
): Promise<EncodedMessage> {
  const scope = scopeOf(request.instanceName)
  checkDigestFunction(request.digestFunction)
  const action = asActionDigest(digestArgument(request.actionDigest, 'action_digest'))
  let found: EncodedMessage | undefined
  let lookup: ActionLookup | undefined
  try {
    lookup = await actions.get(scope, action)
    if (lookup.kind === 'hit')
      found = wantsNothing(request)
        ? new EncodedMessage(lookup.encoded)
        : await withInlined(lookup, request, (digests) => blobs.readBatch(scope, digests, call.signal))
  } catch (error) {
    if (call.signal.aborted) throw error
    onFault(error)
  }
  if (usage !== undefined) {
    const use = { instance: scope.instance, action, by: { headers: call.headers } }
    if (found !== undefined && lookup?.kind === 'hit') usage.note({ kind: 'hit', ...use, of: lookup })
    else usage.note({ kind: 'miss', ...use })
  }
  if (found === undefined) throw MISS
  return found
}

async function updateResult(
  { blobs, actions, usage }: Store,
  request: UpdateActionResultRequest,
  { signal, headers }: GrpcCall,
): Promise<EncodedMessage> {
  const scope = scopeOf(request.instanceName)
  checkDigestFunction(request.digestFunction)
  const action = asActionDigest(digestArgument(request.actionDigest, 'action_digest'))
  if (request.actionResult === undefined) throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, 'There is no action_result.')
  const { result, contents } = clientResult(request.actionResult)
  const encoded = ActionResult.encode(result).finish()
  if (encoded.length > MOST_RESULT_BYTES)
    throw new GrpcStatus(
      GrpcCode.INVALID_ARGUMENT,
      `The action result has ${encoded.length} bytes; ${MOST_RESULT_BYTES} are kept.`,
    )
  await Promise.all(contents.map(({ digest, bytes }) => blobs.write(scope, digest, bytes, signal)))
  try {
    await actions.put(scope, action, result, signal)
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.incomplete') throw await missingBlobs(blobs, scope, result, signal)
    throw error
  }
  usage?.note({ kind: 'kept', instance: scope.instance, action, by: { headers }, of: { result } })
  return new EncodedMessage(encoded)
}
