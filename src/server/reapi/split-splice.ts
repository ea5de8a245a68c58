import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  ChunkingFunction_Value,
  type SpliceBlobRequest,
  type SpliceBlobResponse,
  type SplitBlobRequest,
  type SplitBlobResponse,
} from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { BlobStore, Scope } from '../../store/contracts.ts'
import { CHUNK_SIZES } from '../../store/local/chunked-writer.ts'
import { fastCdcChunks } from '../../store/local/fast-cdc.ts'
import type { GrpcCall } from '../grpc/service.ts'
import { blobDigestArgument, checkDigestFunction } from './digest-argument.ts'
import { missOf, type OnFault, refusalOf } from './faults.ts'
import { scopeOf } from './scope.ts'

interface Store {
  readonly blobs: BlobStore
  readonly onFault: OnFault
}

/** Their digests are 3.7 MB of the 4 MiB that clients take in a message: of a blob of some 3 GiB. */
const MOST_CHUNKS = 50_000
/** Chunks on their way into the store. */
const WRITES_AT_ONCE = 16

/**
 * The digests of a blob's chunks, cut by FastCDC as the capabilities say, all of them blobs by then: who has some of them from
 * another version of it fetches the others. Its chunks take room beside it until they are collected, unless the store
 * keeps the blob so anyway.
 */
export async function splitBlob(
  { blobs, onFault }: Store,
  { instanceName, blobDigest, digestFunction }: SplitBlobRequest,
  { signal }: GrpcCall,
): Promise<SplitBlobResponse> {
  checkDigestFunction(digestFunction)
  const scope = scopeOf(instanceName)
  const digest = blobDigestArgument(blobDigest, 'blob_digest')
  try {
    await using bytes = await blobs.read(scope, digest, { signal })
    if (bytes === undefined) throw new GrpcStatus(GrpcCode.NOT_FOUND, `Blob ${digest.hash} is not here.`)
    const chunkDigests = await keepChunks(blobs, scope, fastCdcChunks(bytes, CHUNK_SIZES, signal))
    return { chunkDigests, chunkingFunction: ChunkingFunction_Value.FAST_CDC_2020 }
  } catch (error) {
    throw missOf(error, `Blob ${digest.hash}, in chunks,`, signal, onFault)
  }
}

async function keepChunks(blobs: BlobStore, scope: Scope, chunks: AsyncIterable<Uint8Array>): Promise<Digest[]> {
  const digests: Digest[] = []
  const writes = new Set<Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  try {
    for await (const chunk of chunks) {
      if (failure !== undefined) break
      if (digests.length === MOST_CHUNKS)
        throw new GrpcStatus(GrpcCode.NOT_FOUND, `The blob has more chunks than the ${MOST_CHUNKS} that can be told.`)
      // A copy: it is valid until the next one is asked for.
      const bytes = new Uint8Array(chunk)
      const digest = digestOf(bytes)
      digests.push(digest)
      const write = blobs
        .write(scope, digest, bytes)
        .catch((error: unknown) => {
          failure ??= { error }
        })
        .finally(() => writes.delete(write))
      writes.add(write)
      if (writes.size >= WRITES_AT_ONCE) await Promise.race(writes)
    }
  } finally {
    await Promise.all(writes)
  }
  if (failure !== undefined) throw failure.error
  return digests
}

/** Keeps the blob that chunks are, one after the other, when it is the one that its digest says. */
export async function spliceBlob(
  { blobs, onFault }: Store,
  { instanceName, blobDigest, chunkDigests, digestFunction }: SpliceBlobRequest,
  { signal }: GrpcCall,
): Promise<SpliceBlobResponse> {
  checkDigestFunction(digestFunction)
  const scope = scopeOf(instanceName)
  const digest = blobDigestArgument(blobDigest, 'blob_digest')
  for (const chunk of chunkDigests) blobDigestArgument(chunk, 'A digest of chunk_digests')
  // What is there is marked as used, the chunks too.
  const missing = await blobs.missing(scope, chunkDigests, signal)
  if ((await blobs.missing(scope, [digest], signal)).length === 0) return { blobDigest: digest }
  if (missing[0] !== undefined)
    throw new GrpcStatus(GrpcCode.NOT_FOUND, `${missing.length} of the chunks are not here, as ${missing[0].hash}.`)
  const sizeBytes = chunkDigests.reduce((sum, chunk) => sum + chunk.sizeBytes, 0)
  if (sizeBytes !== digest.sizeBytes)
    throw new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `The chunks are ${sizeBytes} bytes, not ${digest.sizeBytes}.`)
  try {
    await blobs.write(scope, digest, contentOf(blobs, scope, chunkDigests, { signal, onFault }), signal)
  } catch (error) {
    throw refusalOf(error)
  }
  return { blobDigest: digest }
}

async function* contentOf(
  blobs: BlobStore,
  scope: Scope,
  chunks: readonly Digest[],
  { signal, onFault }: { readonly signal: AbortSignal; readonly onFault: OnFault },
): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    try {
      await using bytes = await blobs.read(scope, chunk, { signal })
      if (bytes === undefined) throw new GrpcStatus(GrpcCode.NOT_FOUND, `Chunk ${chunk.hash} is not here.`)
      yield* bytes
    } catch (error) {
      throw missOf(error, `Chunk ${chunk.hash}`, signal, onFault)
    }
  }
}
