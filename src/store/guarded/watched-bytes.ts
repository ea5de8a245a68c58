import type { OpenBytes } from '../contracts.ts'
import type { Attempt } from './transfer.ts'

/** What is sent, with the time that its source takes left out. `attempt.on` is waiting for the end meanwhile. */
export async function* watchedSource(
  bytes: AsyncIterable<Uint8Array>,
  { watch }: Attempt,
): AsyncGenerator<Uint8Array, undefined> {
  watch.end()
  try {
    for await (const piece of bytes) {
      watch.begin()
      yield piece
      watch.end()
      watch.moved(piece.length)
    }
  } finally {
    watch.begin()
  }
}

/** A blob that has begun to come, with its first bytes; what nobody reads of it is left. */
export interface Begun {
  readonly first: IteratorResult<Uint8Array>
  readonly iterator: AsyncIterator<Uint8Array>
  readonly open: OpenBytes
}

/** Opens a blob and waits for its first bytes. */
export async function begun(attempt: Attempt, open: Promise<OpenBytes | undefined>): Promise<Begun | undefined> {
  // Nobody else closes what comes after it was given up.
  open.then(
    (late) => {
      if (attempt.signal.aborted && late !== undefined) void closed(late)
    },
    () => undefined,
  )
  const opened = await attempt.on(open)
  if (opened === undefined) return undefined
  try {
    const iterator = opened[Symbol.asyncIterator]()
    return { first: await attempt.on(iterator.next()), iterator, open: opened }
  } catch (error) {
    void closed(opened)
    throw error
  }
}

/** `release` is called once when it is over, however it ends; `failed` when it ends badly. */
export function watchedBytes(
  { first, iterator, open }: Begun,
  attempt: Attempt,
  { release, failed }: { readonly release: () => void; readonly failed: (error: unknown) => void },
): OpenBytes {
  let isOver = false
  const over = (end: () => void) => {
    if (isOver) return
    isOver = true
    end()
    release()
  }
  const stream = async function* () {
    try {
      for (let next = first; !next.done; next = await attempt.on(iterator.next())) yield next.value
      over(() => attempt.done())
    } catch (failure) {
      const error = attempt.failed(failure)
      over(() => failed(error))
      throw error
    } finally {
      over(() => attempt.left())
      void closed(open)
    }
  }
  const iterable = stream()
  return {
    [Symbol.asyncIterator]: () => iterable,
    async [Symbol.asyncDispose]() {
      over(() => attempt.left())
      await iterable.return(undefined)
      await open[Symbol.asyncDispose]()
    },
  }
}

/** However it ends: what hangs is not waited for. */
async function closed(open: OpenBytes): Promise<void> {
  try {
    await open[Symbol.asyncDispose]()
  } catch {
    // What it threw was told where its bytes were read.
  }
}
