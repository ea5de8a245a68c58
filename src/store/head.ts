/**
 * The whole of a stream when it is no longer than `limitBytes`; else the same stream again, from its beginning. So small
 * things can be treated as such, though nobody said how long they are.
 */
export async function head(
  bytes: AsyncIterable<Uint8Array>,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<{ whole: Uint8Array; rest?: never } | { whole?: never; rest: AsyncIterable<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]()
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      signal?.throwIfAborted()
      const next = await iterator.next()
      if (next.done) return { whole: Buffer.concat(chunks) }
      // Copied, since a source may use its buffer again.
      chunks.push(Uint8Array.from(next.value))
      length += next.value.length
      if (length > limitBytes) return { rest: again(chunks, iterator) }
    }
  } catch (error) {
    await iterator.return?.()
    throw error
  }
}

async function* again(chunks: Uint8Array[], iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks.splice(0)
    for (;;) {
      const next = await iterator.next()
      if (next.done) return
      yield next.value
    }
  } finally {
    await iterator.return?.()
  }
}
