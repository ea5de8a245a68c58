/** Work that nobody waits for until the end, so many pieces at once. What fails is told and not tried again. */
export interface LaterWork {
  readonly isIdle: boolean
  add(piece: (signal: AbortSignal) => Promise<void>): void
  /** Done with all of it, or out of time: then what is under way is aborted and the rest left out. True: all was done. */
  finish(withinMs: number): Promise<boolean>
}

export function laterWork(options: { readonly atOnce: number; onFault(error: unknown): void }): LaterWork {
  const waiting: ((signal: AbortSignal) => Promise<void>)[] = []
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
    add(piece) {
      waiting.push(piece)
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
