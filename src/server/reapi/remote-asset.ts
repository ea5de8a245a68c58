import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import {
  type FetchBlobRequest,
  FetchDefinition,
  type FetchDirectoryRequest,
  type PushBlobRequest,
  PushDefinition,
  type PushDirectoryRequest,
} from '../../proto/build/bazel/remote/asset/v1/remote_asset.ts'
import { DigestFunction_Value } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { Timestamp } from '../../proto/google/protobuf/timestamp.ts'
import { type GrpcCall, type GrpcMethod, grpcService } from '../grpc/service.ts'
import type { Served } from '../protocol.ts'
import type { Use } from '../usage.ts'
import { type AssetKind, type AssetNames, assetNames, invalid } from './asset-request.ts'
import { type AssetToKeep, assetKey, type FoundAsset, findAsset, keepAsset, resultOf } from './assets.ts'
import { blobDigestArgument } from './digest-argument.ts'
import { missingBlobs } from './missing-blobs.ts'

type Store = Pick<Served, 'blobs' | 'actions' | 'names' | 'usage'>

export interface RemoteAssetOptions {
  /** Told of what failed while a client was told that there is nothing. */
  readonly onFault: (error: unknown) => void
}

/**
 * The Remote Asset API: content by the URIs that it is known by. Found is what was pushed, and a blob whose SHA-256 is asked
 * for; nothing is downloaded, so that nobody can have the server call an address.
 */
export function remoteAssetServices(served: Store, { onFault }: RemoteAssetOptions): GrpcMethod[] {
  const fetched = async (
    kind: AssetKind,
    request: FetchBlobRequest | FetchDirectoryRequest,
    { signal, headers }: GrpcCall,
  ) => {
    const names = assetNames(kind, request)
    let found: FoundAsset | undefined
    try {
      found = await findAsset(served, names, msOf(request.oldestContentAccepted) ?? 0, signal)
    } catch (error) {
      if (signal.aborted) throw error
      onFault(error)
    }
    note(served, names, found === undefined ? 'miss' : 'hit', headers, found)
    if (found === undefined) throw NOT_FOUND
    return told(names, found)
  }
  return [
    ...grpcService(FetchDefinition, {
      fetchBlob: [
        'read',
        async (request, call) => {
          const { digest: blobDigest, ...rest } = await fetched('blob', request, call)
          return { ...rest, blobDigest }
        },
      ],
      fetchDirectory: [
        'read',
        async (request, call) => {
          const { digest: rootDirectoryDigest, ...rest } = await fetched('directory', request, call)
          return { ...rest, rootDirectoryDigest }
        },
      ],
    }),
    ...grpcService(PushDefinition, {
      pushBlob: [
        'write',
        async (request, call) => {
          const digest = blobDigestArgument(request.blobDigest, 'blob_digest')
          const names = assetNames('blob', request)
          if (names.sha256 !== undefined && names.sha256 !== digest.hash)
            throw invalid('The checksum.sri is not that of the blob.')
          await push(served, names, toKeep(digest, request), call)
          return {}
        },
      ],
      pushDirectory: [
        'write',
        async (request, call) => {
          const digest = blobDigestArgument(request.rootDirectoryDigest, 'root_directory_digest')
          await push(served, assetNames('directory', request), toKeep(digest, request), call)
          return {}
        },
      ],
    }),
  ]
}

/**
 * To find nothing is a failure of the call. The protocol has a status within the answer for it, too, which Bazel 4 does not look
 * at: it takes the answer for an empty file, and does not download for itself where it should.
 */
const NOT_FOUND = new GrpcStatus(GrpcCode.NOT_FOUND, 'Nothing was pushed for that, and nothing is downloaded.')

function told({ qualifiers }: AssetNames, { uri, digest, expiresMs }: FoundAsset) {
  const expiresAt = expiresMs === undefined ? undefined : timestampOf(expiresMs)
  const status = { code: GrpcCode.OK, message: '', details: [] }
  return { status, uri, qualifiers: [...qualifiers], digestFunction: DigestFunction_Value.SHA256, digest, expiresAt }
}

function toKeep(digest: Digest, request: PushBlobRequest | PushDirectoryRequest): AssetToKeep {
  return {
    digest,
    expiresMs: msOf(request.expireAt),
    blobs: request.referencesBlobs.map((blob) => blobDigestArgument(blob, 'references_blobs')),
    directories: request.referencesDirectories.map((root) => blobDigestArgument(root, 'references_directories')),
  }
}

/** References are hints: where they are not there, the content is kept without them. */
async function push(
  served: Store,
  names: AssetNames,
  asset: AssetToKeep,
  { signal, headers }: GrpcCall,
): Promise<void> {
  const alone = { ...asset, blobs: [], directories: [] }
  for (const attempt of [asset, alone]) {
    try {
      await keepAsset(served, names, attempt, signal)
      return note(served, names, 'kept', headers, attempt)
    } catch (error) {
      if (!isCacheError(error) || error.code !== 'store.incomplete') throw error
    }
  }
  throw await missingBlobs(served.blobs, names.scope, resultOf(names.kind, alone), signal)
}

/** One for all URIs: they are asked for together. */
function note(
  { usage }: Store,
  names: AssetNames,
  kind: Use['kind'],
  headers: GrpcCall['headers'],
  asset: Pick<AssetToKeep, 'digest' | 'expiresMs'> | undefined,
): void {
  const action = assetKey(names, names.uris[0] as string)
  const of = asset && { result: resultOf(names.kind, { ...asset, blobs: [], directories: [] }) }
  usage?.note({ kind, instance: names.scope.instance, action, by: { headers }, ...(of !== undefined && { of }) })
}

function msOf(timestamp: Timestamp | undefined): number | undefined {
  return timestamp === undefined ? undefined : Math.max(1, timestamp.seconds * 1000 + Math.floor(timestamp.nanos / 1e6))
}

function timestampOf(ms: number): Timestamp {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 }
}
