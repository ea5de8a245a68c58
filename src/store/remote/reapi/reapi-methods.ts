import {
  BatchReadBlobsRequest,
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
  GetActionResultRequest,
  GetCapabilitiesRequest,
  UpdateActionResultRequest,
} from '../../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Method } from '../grpc/grpc-channel.ts'
import { type ReadAnswer, readAnswersIn } from './batch-read-answer.ts'
import { type CacheCapabilities, cacheCapabilitiesIn } from './server-capabilities.ts'

const SERVICES = '/build.bazel.remote.execution.v2'
const CAS = `${SERVICES}.ContentAddressableStorage`

export const GET_CAPABILITIES: Method<GetCapabilitiesRequest, CacheCapabilities | undefined> = {
  path: `${SERVICES}.Capabilities/GetCapabilities`,
  request: GetCapabilitiesRequest,
  answer: { decode: cacheCapabilitiesIn },
}
/** The answer is wanted as it came, too. */
export const GET_RESULT: Method<GetActionResultRequest, Uint8Array> = {
  path: `${SERVICES}.ActionCache/GetActionResult`,
  request: GetActionResultRequest,
  answer: { decode: (bytes) => bytes },
}
export const UPDATE_RESULT: Method<UpdateActionResultRequest, ActionResult> = {
  path: `${SERVICES}.ActionCache/UpdateActionResult`,
  request: UpdateActionResultRequest,
  answer: ActionResult,
}
export const FIND_MISSING: Method<FindMissingBlobsRequest, FindMissingBlobsResponse> = {
  path: `${CAS}/FindMissingBlobs`,
  request: FindMissingBlobsRequest,
  answer: FindMissingBlobsResponse,
}
export const BATCH_READ: Method<BatchReadBlobsRequest, readonly ReadAnswer[]> = {
  path: `${CAS}/BatchReadBlobs`,
  request: BatchReadBlobsRequest,
  answer: { decode: readAnswersIn },
}
export const BATCH_UPDATE: Method<BatchUpdateBlobsRequest, BatchUpdateBlobsResponse> = {
  path: `${CAS}/BatchUpdateBlobs`,
  request: BatchUpdateBlobsRequest,
  answer: BatchUpdateBlobsResponse,
}
