type Piece = (signal: AbortSignal) => Promise<void>

/** Work that nobody waits for until the end, so many pieces at once. What fails is told and not tried again. */
export interface LaterWork {
  readonly isIdle: boolean
  /** Pieces of the same name are done one after the other, in the order in which they were added. */
  add(piece: Piece, name?: string): void
  /** Done with all of it, or out of time: then what is under way is aborted and the rest left out. True: all was done. */
  finish(withinMs: number): Promise<boolean>
}

export function laterWork(options: { readonly atOnce: number; onFault(error: unknown): void }): LaterWork {
  const waiting: Piece[] = []
  /** By name, the end of the last piece. */
  const ends = new Map<string, Promise<void>>()
  const end = new AbortController()
  let underWay = 0
  let onIdle: (() => void) | undefined
  const next = (): void => {
    while (underWay < options.atOnce && !end.signal.aborted) {
      const piece = waiting.shift()
      if (piece === undefined) break
      underWay++
      piece(end.signal)
        .catch((error: unknown) => {
          if (!end.signal.aborted) options.onFault(error)
        })
        .finally(() => {
          underWay--
          next()
        })
    }
    if (underWay === 0) onIdle?.()
  }
  return {
    get isIdle() {
      return underWay === 0
    },
    add(piece, name) {
      waiting.push(name === undefined ? piece : inTurn(piece, name, ends))
      next()
    },
    async finish(withinMs) {
      if (underWay === 0) return waiting.length === 0
      const timer = setTimeout(() => {
        end.abort(new Error('out of time'))
        waiting.length = 0
        onIdle?.()
      }, withinMs)
      await new Promise<void>((resolve) => {
        onIdle = resolve
      })
      clearTimeout(timer)
      return !end.signal.aborted
    },
  }
}

function inTurn(piece: Piece, name: string, ends: Map<string, Promise<void>>): Piece {
  const before = ends.get(name)
  const { promise, resolve } = Promise.withResolvers<void>()
  ends.set(name, promise)
  return async (signal) => {
    // It was added before, and so it has begun.
    await before
    try {
      await piece(signal)
    } finally {
      resolve()
      if (ends.get(name) === promise) ends.delete(name)
    }
  }
}
