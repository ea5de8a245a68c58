/**
 * The name of a blob: REAPI's Digest with SHA-256. Structurally the same as the protobuf message, so it goes on the wire
 * as it is.
 */
export interface Digest {
  /** 64 lower-case hex digits. */
  readonly hash: string
  readonly sizeBytes: number
}

declare const actionBrand: unique symbol
/** The digest of an encoded Action message: the cache key. Not to be mixed up with the digest of a blob. */
export type ActionDigest = Digest & { readonly [actionBrand]: true }

/**
 * The size of an action in protocols that name it by its hash alone. Asked for with it, a result is found whatever the size
 * it was put under; put with it, it is found by those who do not know the size either.
 */
export const UNKNOWN_BYTES = -1

/** The digest of no bytes; stores hold it without being told. */
export const EMPTY_DIGEST: Digest = {
  hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  sizeBytes: 0,
}

export function sameDigest(a: Digest, b: Digest): boolean {
  return a.hash === b.hash && a.sizeBytes === b.sizeBytes
}

/** Says of a digest that it is an action's. Only key derivation, codecs and the command line have reason to. */
export function asActionDigest(digest: Digest): ActionDigest {
  return digest as ActionDigest
}
