const PREFIX_BYTES = 5
/** Pieces up to this are copied into one chunk, which costs less than a chunk of its own for each. */
const MOST_COPIED_BYTES = 16 * 1024

/**
 * A message as gRPC sends it, not compressed and with its length before it ("Length-Prefixed-Message"), given in pieces that
 * follow each other. Large pieces are not copied.
 */
export function framed(pieces: readonly Uint8Array[]): Uint8Array[] {
  let bytes = 0
  for (const piece of pieces) bytes += piece.length
  const isSmall = bytes <= MOST_COPIED_BYTES
  const head = Buffer.allocUnsafe(isSmall ? PREFIX_BYTES + bytes : PREFIX_BYTES)
  head[0] = 0
  head.writeUInt32BE(bytes, 1)
  if (!isSmall) return [head, ...pieces]
  let at = PREFIX_BYTES
  for (const piece of pieces) {
    head.set(piece, at)
    at += piece.length
  }
  return [head]
}
