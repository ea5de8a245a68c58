/** S3 wants 5 MiB at least, and all but the last of one size. */
const PART_BYTES = 8 << 20
const MOST_PARTS = 10_000

/** For an object of about so many bytes, which may become twice as many. */
export function partBytesFor(aboutBytes: number): number {
  return Math.max(PART_BYTES, Math.ceil((2 * aboutBytes) / MOST_PARTS))
}

/** The same bytes in parts of just so many, and one that has the rest: at least one part, which may be empty. */
export async function* objectParts(
  bytes: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly isLast: boolean }> {
  let pieces: Uint8Array[] = []
  let held = 0
  for await (const next of bytes)
    for (let at = 0; at < next.length; ) {
      if (held === partBytes) {
        yield { bytes: Buffer.concat(pieces), isLast: false }
        pieces = []
        held = 0
      }
      const piece = next.subarray(at, at + partBytes - held)
      pieces.push(piece)
      held += piece.length
      at += piece.length
    }
  yield { bytes: Buffer.concat(pieces), isLast: true }
}
