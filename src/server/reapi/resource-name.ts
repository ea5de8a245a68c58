import type { Digest } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { DigestFunction_Value } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import { blobDigestArgument, checkDigestFunction } from './digest-argument.ts'

/** What ByteStream's names say of a blob: `{instance}/blobs/{hash}/{size}`, `{instance}/compressed-blobs/zstd/{hash}/{size}`. */
export interface BlobResource {
  /** Empty where the name has none; may hold slashes. */
  readonly instance: string
  /** Of the blob itself, not of its compressed form. */
  readonly digest: Digest
  readonly compressor: 'identity' | 'zstd'
}

/** `{instance}/uploads/{uuid}/` before the blob, and what the client likes behind it. */
export interface UploadResource extends BlobResource {
  readonly uuid: string
}

/** None of these can be a part of an instance's name, so the first that comes ends it. */
const KEYWORDS = ['blobs', 'uploads', 'actions', 'actionResults', 'operations', 'capabilities', 'compressed-blobs']
const MOST_CHARACTERS = 2_000
const SIZE = /^(0|[1-9]\d{0,15})$/
const FUNCTIONS = new Map<string, DigestFunction_Value>(
  Object.entries(DigestFunction_Value).map(([name, value]) => [name.toLowerCase(), value]),
)

/** The name of a blob to be read. Throws INVALID_ARGUMENT when it is none. */
export function blobResource(name: string): BlobResource {
  const { instance, rest } = instanceOf(name)
  const { blob, more } = blobIn(rest)
  if (more.length > 0) throw invalid('has something behind the size')
  return { instance, ...blob }
}

/** The name of a blob to be written. Throws INVALID_ARGUMENT when it is none. */
export function uploadResource(name: string): UploadResource {
  const { instance, rest } = instanceOf(name)
  const [keyword, uuid = '', ...blob] = rest
  if (keyword !== 'uploads' || uuid === '') throw invalid('is not that of an upload')
  return { instance, uuid, ...blobIn(blob).blob }
}

function instanceOf(name: string): { readonly instance: string; readonly rest: readonly string[] } {
  if (name.length > MOST_CHARACTERS) throw invalid('is too long')
  const segments = name.split('/')
  const at = segments.findIndex((segment) => KEYWORDS.includes(segment))
  if (at < 0) throw invalid('names no blob')
  return { instance: segments.slice(0, at).join('/'), rest: segments.slice(at) }
}

function blobIn([keyword, ...parts]: readonly string[]): {
  readonly blob: Pick<BlobResource, 'digest' | 'compressor'>
  readonly more: readonly string[]
} {
  if (keyword !== 'blobs' && keyword !== 'compressed-blobs') throw invalid('names no blob')
  const [compressor, ...named] = keyword === 'blobs' ? ['identity', ...parts] : parts
  if (compressor !== 'identity' && compressor !== 'zstd') throw invalid('has a compressor that is not zstd')
  if (keyword === 'compressed-blobs' && compressor === 'identity') throw invalid('has a compressor that is none')
  const digestFunction = FUNCTIONS.get(named[0] ?? '')
  if (digestFunction !== undefined) checkDigestFunction(digestFunction)
  const [hash = '', size = '', ...more] = digestFunction === undefined ? named : named.slice(1)
  if (!SIZE.test(size) || !Number.isSafeInteger(Number(size))) throw invalid('has no size where one should be')
  const digest = blobDigestArgument({ hash, sizeBytes: Number(size) }, 'The resource name')
  return { blob: { digest, compressor }, more }
}

function invalid(what: string): GrpcStatus {
  return new GrpcStatus(GrpcCode.INVALID_ARGUMENT, `The resource name ${what}.`)
}
