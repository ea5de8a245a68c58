import type { Digest } from '../../digest/digest.ts'
import type { OpenBytes, Scope } from '../../store/contracts.ts'
import type { Served } from '../protocol.ts'

/** A range of the bytes of several blobs, one after the other: none is opened before its turn. Fails where one has gone. */
export function concatenated(
  { blobs }: Pick<Served, 'blobs'>,
  scope: Scope,
  parts: readonly Digest[],
  { offset, length, signal }: { readonly offset: number; readonly length: number; readonly signal: AbortSignal },
): OpenBytes {
  async function* bytes(): AsyncGenerator<Uint8Array> {
    let start = 0
    for (const part of parts) {
      const from = Math.max(offset - start, 0)
      const to = Math.min(offset + length - start, part.sizeBytes)
      start += part.sizeBytes
      if (from >= to) continue
      await using piece = await blobs.read(scope, part, { offset: from, length: to - from, signal })
      if (piece === undefined) throw new Error(`blob ${part.hash} of an archive has gone`)
      yield* piece
    }
  }
  const iterator = bytes()
  return {
    [Symbol.asyncIterator]: () => iterator,
    [Symbol.asyncDispose]: async () => void (await iterator.return(undefined)),
  }
}
