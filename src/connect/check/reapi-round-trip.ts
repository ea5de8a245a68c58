import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode } from '../../grpc/status.ts'
import {
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
  Compressor_Value,
  DigestFunction_Value,
  GetActionResultRequest,
  GetCapabilitiesRequest,
  ServerCapabilities,
  UpdateActionResultRequest,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { placeOf, type ServerAddress } from '../server-address.ts'
import type { Finding } from './finding.ts'
import { GrpcCallFault, type GrpcClient, grpcClient } from './grpc-call.ts'
import { STEP_MS } from './http-round-trip.ts'

const SERVICE = '/build.bazel.remote.execution.v2'
const digestFunction = DigestFunction_Value.SHA256

/** Puts a blob and a result that names it, gets both back, and compares: what Bazel, Buck2, moon and Pants do. */
export async function reapiRoundTrip(address: ServerAddress, nonce: string): Promise<Finding> {
  using client = grpcClient(address, STEP_MS)
  try {
    return await roundTrip(client, address.instance, Buffer.from(nonce))
  } catch (error) {
    if (!(error instanceof GrpcCallFault)) throw error
    return failure(address, error)
  }
}

async function roundTrip(client: GrpcClient, instanceName: string, data: Buffer): Promise<Finding> {
  const capabilities = await client.call(`${SERVICE}.Capabilities/GetCapabilities`, { instanceName }, [
    GetCapabilitiesRequest,
    ServerCapabilities,
  ])
  if (!capabilities.cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled)
    return failed('the server takes no results of this token', 'A token that may only read is fine for who only reads.')
  const digest = digestOf(data)
  const actionDigest = digestOf(Buffer.from(`action of ${data}`))
  const put = await client.call(
    `${SERVICE}.ContentAddressableStorage/BatchUpdateBlobs`,
    { instanceName, digestFunction, requests: [{ digest, data, compressor: Compressor_Value.IDENTITY }] },
    [BatchUpdateBlobsRequest, BatchUpdateBlobsResponse],
  )
  const refused = put.responses.find(({ status }) => (status?.code ?? 0) !== 0)
  if (refused !== undefined) return failed(`a blob was refused: ${refused.status?.message}`)
  const outputFiles = [{ path: 'out', digest, isExecutable: false, contents: Buffer.alloc(0) }]
  const actionResult = { ...ActionResult.decode(new Uint8Array(0)), outputFiles }
  await client.call(
    `${SERVICE}.ActionCache/UpdateActionResult`,
    { instanceName, actionDigest, actionResult, digestFunction },
    [UpdateActionResultRequest, ActionResult],
  )
  const asked = { instanceName, actionDigest, digestFunction, inlineStdout: false, inlineStderr: false }
  const found = await client.call(`${SERVICE}.ActionCache/GetActionResult`, { ...asked, inlineOutputFiles: [] }, [
    GetActionResultRequest,
    ActionResult,
  ])
  if (found.outputFiles[0]?.digest?.hash !== digest.hash) return failed('another result came back than was put')
  const read = await client.call(
    `${SERVICE}.ContentAddressableStorage/BatchReadBlobs`,
    { instanceName, digests: [digest], acceptableCompressors: [Compressor_Value.IDENTITY], digestFunction },
    [BatchReadBlobsRequest, BatchReadBlobsResponse],
  )
  if (!read.responses[0]?.data.equals(data)) return failed('other bytes came back than were put')
  return { name: 'round trip', status: 'ok', what: 'put a blob and a result over gRPC, and got both back' }
}

function failure(address: ServerAddress, { code, message }: GrpcCallFault): Finding {
  const place = placeOf(address)
  if (code === undefined)
    return failed(
      `${place} does not answer gRPC (${message})`,
      "Name the server's gRPC address; a proxy before it has to pass on HTTP/2.",
    )
  if (code === GrpcCode.UNAUTHENTICATED)
    return failed('the server does not know this token over gRPC', 'See --token-file.')
  if (code === GrpcCode.UNIMPLEMENTED) return failed('this server does not speak REAPI', 'Is it of another version?')
  return failed(`a call failed: ${message} (${code})`, 'The server says more on its standard error.')
}

function failed(what: string, hint?: string): Finding {
  return { name: 'round trip', status: 'fail', what, ...(hint !== undefined && { hint }) }
}
