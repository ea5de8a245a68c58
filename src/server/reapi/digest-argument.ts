import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import { DigestFunction_Value } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'

const HASH = /^[0-9a-f]{64}$/
const NAMES = new Map<number, string>(Object.entries(DigestFunction_Value).map(([name, value]) => [value, name]))

/** Throws INVALID_ARGUMENT unless a call's digests are SHA-256; who says nothing has hashes of its length. */
export function checkDigestFunction(digestFunction: DigestFunction_Value): void {
  if (digestFunction === DigestFunction_Value.SHA256 || digestFunction === DigestFunction_Value.UNKNOWN) return
  const name = NAMES.get(digestFunction) ?? 'an unknown function'
  throw invalid(`Digests by ${name} are not served: SHA256 is.`)
}

/** A digest as a call brings it. Throws INVALID_ARGUMENT, naming it as `what`, when it is none. */
export function digestArgument(digest: Digest | undefined, what: string): Digest {
  const wrong = digest === undefined ? 'is missing' : wrongIn(digest)
  if (digest === undefined || wrong !== undefined) throw invalid(`${what} ${wrong}.`)
  return digest
}

/** The same of a blob's, of which only one has no bytes. */
export function blobDigestArgument(digest: Digest | undefined, what: string): Digest {
  const checked = digestArgument(digest, what)
  if (checked.sizeBytes === 0 && checked.hash !== EMPTY_DIGEST.hash)
    throw invalid(`${what} says that it has no bytes, and is not the digest of that.`)
  return checked
}

function wrongIn({ hash, sizeBytes }: Digest): string | undefined {
  if (!HASH.test(hash)) return 'has a hash that is not 64 lower-case hexadecimal digits, as SHA-256 has'
  return sizeBytes < 0 ? 'has a negative size' : undefined
}

function invalid(message: string): GrpcStatus {
  return new GrpcStatus(GrpcCode.INVALID_ARGUMENT, message)
}
