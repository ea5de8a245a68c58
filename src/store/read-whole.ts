import type { Digest } from '../digest/digest.ts'
import { CacheError } from '../errors.ts'
import type { BlobStore, Scope } from './contracts.ts'

/** A blob whole in memory, for those that are known to be small (trees, messages); undefined when it is not there whole. */
export async function readWhole(
  blobs: Pick<BlobStore, 'read'>,
  scope: Scope,
  digest: Digest,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  await using bytes = await blobs.read(scope, digest, signal === undefined ? {} : { signal })
  if (bytes === undefined) return undefined
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of bytes) chunks.push(chunk)
  } catch (error) {
    if (error instanceof CacheError && error.code === 'store.corrupt') return undefined
    throw error
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
}
