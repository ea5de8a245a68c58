import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'

export interface Piece {
  readonly offset: number
  readonly data: Uint8Array
  readonly isLast: boolean
}

/**
 * A blob in pieces of `pieceBytes`, the last of which comes only when all together are what the digest says: else `store.corrupt`,
 * so that whoever is sent them never has it whole. Copied, since a source may use its buffer again.
 */
export async function* checkedPieces(
  { hash, sizeBytes }: Digest,
  bytes: AsyncIterable<Uint8Array>,
  pieceBytes: number,
): AsyncGenerator<Piece> {
  const digest = streamDigest()
  let offset = 0
  let data = Buffer.allocUnsafeSlow(pieceBytes)
  let filled = 0
  for await (const piece of bytes) {
    digest.update(piece)
    if (offset + filled + piece.length > sizeBytes) throw notTheBlob(hash, `more than ${sizeBytes} bytes`)
    for (let at = 0; at < piece.length; ) {
      if (filled === pieceBytes) {
        yield { offset, data, isLast: false }
        offset += filled
        data = Buffer.allocUnsafeSlow(pieceBytes)
        filled = 0
      }
      const part = piece.subarray(at, at + pieceBytes - filled)
      data.set(part, filled)
      filled += part.length
      at += part.length
    }
  }
  const found = digest.digest()
  if (found.hash !== hash || found.sizeBytes !== sizeBytes) throw notTheBlob(hash, `those of ${found.hash}`)
  yield { offset, data: data.subarray(0, filled), isLast: true }
}

/** Bytes that were checked before, as pieces of at most `pieceBytes`. */
export async function* piecesOf(bytes: AsyncIterable<Uint8Array>, pieceBytes: number): AsyncGenerator<Piece> {
  let offset = 0
  let last: Uint8Array = NOTHING
  for await (const next of bytes)
    for (let at = 0; at < next.length; at += pieceBytes) {
      if (last.length > 0) yield { offset, data: last, isLast: false }
      offset += last.length
      last = next.subarray(at, at + pieceBytes)
    }
  yield { offset, data: last, isLast: true }
}

const NOTHING = new Uint8Array(0)

/** For who checks it later: what goes on for ever does not fill the disk. */
export async function* noLonger(
  { hash, sizeBytes }: Digest,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let left = sizeBytes
  for await (const piece of content) {
    left -= piece.length
    if (left < 0) throw notTheBlob(hash, `more than ${sizeBytes} bytes`)
    yield piece
  }
}

export function notTheBlob(hash: string, what: string): CacheError {
  return new CacheError('store.corrupt', `The bytes are not those of blob ${hash}: they are ${what}.`, {
    context: { hash },
  })
}
