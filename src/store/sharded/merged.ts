/**
 * What several sources give, as it comes. Each is asked for its next only when what it gave has been taken, so that it may lend its
 * bytes until then. `left` is called when nothing more is wanted of them.
 */
export async function* merged<T>(sources: readonly AsyncGenerator<T>[], left: () => void): AsyncGenerator<T> {
  const asked = new Map(sources.map((source) => [source, next(source)]))
  try {
    while (asked.size > 0) {
      const { source, result } = await Promise.race(asked.values())
      if (result.done) {
        asked.delete(source)
        continue
      }
      yield result.value
      asked.set(source, next(source))
    }
  } finally {
    left()
    // Whoever leaves does not hear how the others ended.
    await Promise.allSettled([...asked.keys()].map((source) => source.return(undefined)))
  }
}

async function next<T>(source: AsyncGenerator<T>) {
  return { source, result: await source.next() }
}
