export interface HeadOptions {
  /** How long the stream is said to be: so much is had at once. */
  readonly expectedBytes?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The whole of a stream when it is no longer than `limitBytes`; else the same stream again, from its beginning. So small
 * things can be treated as such, though nobody said how long they are.
 */
export async function head(
  bytes: AsyncIterable<Uint8Array>,
  limitBytes: number,
  { expectedBytes = FIRST_BYTES, signal }: HeadOptions = {},
): Promise<{ whole: Uint8Array; rest?: never } | { whole?: never; rest: AsyncIterable<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]()
  let held = Buffer.allocUnsafeSlow(Math.min(expectedBytes, limitBytes))
  let length = 0
  try {
    for (;;) {
      signal?.throwIfAborted()
      const next = await iterator.next()
      if (next.done) return { whole: held.subarray(0, length) }
      const end = length + next.value.length
      if (end > limitBytes) return { rest: again([held.subarray(0, length), next.value], iterator) }
      if (end > held.length) held = grown(held, Math.min(limitBytes, Math.max(end, 2 * held.length)))
      // Copied, since a source may use its buffer again.
      held.set(next.value, length)
      length = end
    }
  } catch (error) {
    await iterator.return?.()
    throw error
  }
}

const FIRST_BYTES = 16 << 10

function grown(held: Uint8Array, bytes: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(bytes)
  larger.set(held)
  return larger
}

async function* again(chunks: Uint8Array[], iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (const chunk of chunks.splice(0)) if (chunk.length > 0) yield chunk
    for (;;) {
      const next = await iterator.next()
      if (next.done) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}
