import type { Digest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  type BatchReadBlobsRequest,
  Compressor_Value,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { OpenBytes, Scope } from '../../store/contracts.ts'
import { EncodedMessage, type GrpcCall } from '../grpc/service.ts'
import type { Served } from '../protocol.ts'
import { BatchAnswer } from './batch-answer.ts'
import { blobDigestArgument, checkDigestFunction } from './digest-argument.ts'
import { type OnFault, tellFault } from './faults.ts'
import { MAX_BATCH_BYTES } from './limits.ts'
import { scopeOf } from './scope.ts'

type Store = Pick<Served, 'blobs' | 'frames'> & { readonly onFault: OnFault }

/** Smaller blobs lie in one frame with others. */
const FRAME_FROM_BYTES = 64 << 10

/** The blobs that are there whole, in the order they were asked for; as stored zstd frames where that is taken and smaller. */
export async function batchRead(
  store: Store,
  { instanceName, digests, acceptableCompressors, digestFunction }: BatchReadBlobsRequest,
  { signal }: GrpcCall,
): Promise<EncodedMessage> {
  checkDigestFunction(digestFunction)
  const scope = scopeOf(instanceName)
  for (const digest of digests) blobDigestArgument(digest, 'A digest of digests')
  const bytes = digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (bytes > MAX_BATCH_BYTES)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `The batch has ${bytes} bytes; ${MAX_BATCH_BYTES} is the most.`)
  const answer = new BatchAnswer(digests)
  let others = digests.map((_, index) => index)
  try {
    if (acceptableCompressors.includes(Compressor_Value.ZSTD))
      others = await addFrames(store, scope, digests, answer, signal)
    const wanted = others.map((index) => digests[index] as Digest)
    for await (const entry of store.blobs.readBatch(scope, wanted, signal))
      if (entry.bytes !== undefined) answer.add(others[entry.index] as number, entry.bytes, Compressor_Value.IDENTITY)
  } catch (error) {
    // What was read is as good as ever; the rest is not found.
    tellFault(error, signal, store.onFault)
    signal.throwIfAborted()
  }
  return new EncodedMessage(answer.encoded())
}

/** Adds those that can be had so; returns the places of the others. */
async function addFrames(
  { frames }: Store,
  scope: Scope,
  digests: readonly Digest[],
  answer: BatchAnswer,
  signal: AbortSignal,
): Promise<number[]> {
  const others: number[] = []
  for (const [index, digest] of digests.entries()) {
    const stored = digest.sizeBytes < FRAME_FROM_BYTES ? undefined : await frames.readFrame(scope, digest, signal)
    const frame = stored && (await smaller(stored, digest.sizeBytes))
    if (frame === undefined) others.push(index)
    else answer.add(index, frame, Compressor_Value.ZSTD)
  }
  return others
}

/** Undefined when it is not smaller than the content, or damaged: `read` knows what to do then. */
async function smaller(stored: OpenBytes, contentBytes: number): Promise<Uint8Array | undefined> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  await using frame = stored
  try {
    for await (const piece of frame) {
      bytes += piece.length
      if (bytes >= contentBytes) return undefined
      pieces.push(piece)
    }
  } catch {
    return undefined
  }
  return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
}
