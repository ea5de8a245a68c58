import type { ActionDigest, Digest } from '../../../digest/digest.ts'
import type { Scope } from '../../contracts.ts'

/**
 * `recue:cas:HASH:SIZE`: the content, as it is. Shared by all instances, as blobs are everywhere. With the size in its name a blob is
 * not found under its hash with another size.
 */
export function blobKey({ hash, sizeBytes }: Digest): string {
  return `recue:cas:${hash}:${sizeBytes}`
}

/** `recue:ac:INSTANCE:HASH`: what `result-value.ts` says. A user may be let in by the pattern of an instance. */
export function actionKey({ instance }: Scope, { hash }: ActionDigest): string {
  return `recue:ac:${instance}:${hash}`
}
