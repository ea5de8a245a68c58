/** A part of a stream, in memory that goes back when it is freed. */
export interface StreamChunk {
  readonly bytes: Uint8Array
  /** Call it once the bytes are not looked at any more. Who does not leaves them to the garbage collector. */
  free(): void
}

/** For all streams of this process: a few that write at once take turns, and thousands of chunks wait for no garbage collector. */
const MOST_SPARE = 8
const spare: Buffer[] = []

/**
 * The same bytes in chunks of one size; the last may be shorter. A stream that brings nothing for a while holds the one chunk
 * that it is filling.
 */
export async function* streamChunks(bytes: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<StreamChunk> {
  let filling: Buffer | undefined
  let used = 0
  const take = (): StreamChunk => {
    const buffer = filling as Buffer
    const chunk = { bytes: buffer.subarray(0, used), free: () => giveBack(buffer) }
    filling = undefined
    used = 0
    return chunk
  }
  try {
    for await (const piece of bytes) {
      for (let at = 0; at < piece.length; ) {
        filling ??= spareOf(chunkBytes)
        const taken = Math.min(piece.length - at, chunkBytes - used)
        filling.set(piece.subarray(at, at + taken), used)
        at += taken
        used += taken
        if (used === chunkBytes) yield take()
      }
    }
    if (used > 0) yield take()
  } finally {
    if (filling !== undefined) giveBack(filling)
  }
}

function spareOf(chunkBytes: number): Buffer {
  const last = spare.pop()
  return last?.length === chunkBytes ? last : Buffer.allocUnsafeSlow(chunkBytes)
}

function giveBack(buffer: Buffer): void {
  if (spare.length < MOST_SPARE) spare.push(buffer)
}
