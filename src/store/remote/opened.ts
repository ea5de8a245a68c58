/** Bytes that were looked at before anybody takes them. */
export interface Opened extends AsyncDisposable {
  /** The first piece; empty where there is none. */
  readonly first: Uint8Array
  /** From the beginning. */
  readonly all: AsyncIterable<Uint8Array>
}

/** Disposed of, the source is closed, also where nobody came to read `all`. */
export async function opened(bytes: AsyncIterable<Uint8Array>): Promise<Opened> {
  const iterator = bytes[Symbol.asyncIterator]()
  const first = await iterator.next()
  const rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => iterator }
  async function* all(): AsyncGenerator<Uint8Array> {
    if (first.done === true) return
    yield first.value
    yield* rest
  }
  return {
    first: first.done === true ? new Uint8Array(0) : first.value,
    all: all(),
    [Symbol.asyncDispose]: async () => void (await iterator.return?.()),
  }
}
