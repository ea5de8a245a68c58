import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { Qualifier } from '../../proto/build/bazel/remote/asset/v1/remote_asset.ts'
import type { DigestFunction_Value } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'
import type { Scope } from '../../store/contracts.ts'
import { checkDigestFunction } from './digest-argument.ts'
import { scopeOf } from './scope.ts'

/** What kind of content a URI is asked for as: the same one may be pushed as both. */
export type AssetKind = 'blob' | 'directory'

/** By what an asset is known. */
export interface AssetNames {
  readonly scope: Scope
  readonly kind: AssetKind
  /** One or more. */
  readonly uris: readonly string[]
  /** Those that choose content, in an order of their own. */
  readonly qualifiers: readonly Qualifier[]
  /** The hash that the content of a blob must have, in hex. */
  readonly sha256: string | undefined
}

interface AssetRequest {
  readonly instanceName: string
  readonly uris: readonly string[]
  readonly qualifiers: readonly Qualifier[]
  readonly digestFunction: DigestFunction_Value
}

const MOST_URIS = 100
const MOST_QUALIFIERS = 100
const CHECKSUM = 'checksum.sri'
/** Qualifiers of how an origin is to be asked (`http_header:NAME`, `http_header_url:N:NAME`) do not say what comes of it. */
const OF_THE_REQUEST = /^http_header(_url)?:/
const SHA256_SRI = /^sha256-([A-Za-z0-9+/]{43}=)(\?|$)/

/** Throws INVALID_ARGUMENT for names that are none. */
export function assetNames(kind: AssetKind, request: AssetRequest): AssetNames {
  const { instanceName, uris, qualifiers } = request
  const scope = scopeOf(instanceName)
  checkDigestFunction(request.digestFunction)
  if (uris.length === 0 || uris.length > MOST_URIS || uris.includes(''))
    throw invalid(`A call names 1 to ${MOST_URIS} URIs, none of them empty.`)
  const names = qualifiers.map(({ name }) => name)
  if (names.length > MOST_QUALIFIERS || names.includes('') || new Set(names).size < names.length)
    throw invalid(`Qualifiers are ${MOST_QUALIFIERS} at most, and each has a name of its own.`)
  const sha256 = kind === 'blob' ? sha256In(qualifiers.find(({ name }) => name === CHECKSUM)?.value) : undefined
  const choosing = qualifiers
    .filter(({ name }) => !OF_THE_REQUEST.test(name) && !(name === CHECKSUM && sha256 !== undefined))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  return { scope, kind, uris, qualifiers: choosing, sha256 }
}

/** Of a W3C Subresource Integrity text, which may hold several; undefined where no SHA-256 is among them. */
function sha256In(integrity: string | undefined): string | undefined {
  for (const one of integrity?.split(/\s+/) ?? []) {
    const [, base64] = SHA256_SRI.exec(one) ?? []
    if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('hex')
    if (one.startsWith('sha256-')) throw invalid('The checksum.sri holds a SHA-256 that is none.')
  }
  return undefined
}

export function invalid(message: string): GrpcStatus {
  return new GrpcStatus(GrpcCode.INVALID_ARGUMENT, message)
}
