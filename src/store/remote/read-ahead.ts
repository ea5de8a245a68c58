import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import type { BatchEntry, BlobStore, Scope } from '../contracts.ts'
import { eitherSignal } from '../either-signal.ts'
import { reportCorruption } from '../local/corrupt.ts'

/** How much may be on its way, or here, before it is taken. */
export interface Ahead {
  readonly mostBytes: number
  readonly mostBlobs: number
}

export interface AheadSource {
  readonly read: BlobStore['read']
  /** Where the end has small blobs whole: without a stream for each. Undefined: `read` it. */
  readonly small?: (scope: Scope, digest: Digest, signal: AbortSignal) => Promise<Uint8Array | undefined> | undefined
  readonly place: string
}

/** Reads many blobs of a remote end whole, in their order, several at a time. One that is damaged is told, and not there. */
export async function* readAhead(
  source: AheadSource,
  scope: Scope,
  digests: readonly Digest[],
  { mostBytes, mostBlobs }: Ahead,
  signal?: AbortSignal,
): AsyncGenerator<BatchEntry> {
  signal?.throwIfAborted()
  const left = new AbortController()
  const either = eitherSignal(left.signal, signal)
  const ahead: Promise<Uint8Array | undefined>[] = []
  const next = async (index: number) => ({ index, bytes: await ahead.shift() })
  let taken = 0
  let aheadBytes = 0
  try {
    for (const [index, digest] of digests.entries()) {
      while (ahead.length > 0 && (ahead.length >= mostBlobs || aheadBytes + digest.sizeBytes > mostBytes)) {
        aheadBytes -= digests[taken]?.sizeBytes ?? 0
        yield await next(taken++)
      }
      const bytes = wholeBlob(source, scope, digest, either)
      // Whoever leaves does not wait for the others.
      bytes.catch(() => undefined)
      ahead.push(bytes)
      aheadBytes += digest.sizeBytes
      if (index === digests.length - 1) while (ahead.length > 0) yield await next(taken++)
    }
  } finally {
    left.abort()
  }
}

async function wholeBlob(
  { read, small, place }: AheadSource,
  scope: Scope,
  digest: Digest,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    const whole = small?.(scope, digest, signal)
    if (whole !== undefined) return await whole
    await using bytes = await read(scope, digest, { signal })
    if (bytes === undefined) return undefined
    const pieces: Uint8Array[] = []
    for await (const piece of bytes) pieces.push(piece)
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
  } catch (error) {
    if (!isCacheError(error) || error.code !== 'store.corrupt') throw error
    reportCorruption('a blob of a remote cache', `${place}: ${digest.hash}`)
    return undefined
  }
}
