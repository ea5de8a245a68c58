/** Calls `lost` once nothing has been heard for `ms` while somebody waited. */
export class Waiting implements Disposable {
  readonly #ms: number
  readonly #lost: () => void
  #timer: NodeJS.Timeout | undefined
  #turn = 0
  #isWaiting = false

  constructor(ms: number, lost: () => void) {
    this.#ms = ms
    this.#lost = lost
  }

  begin(): void {
    this.#turn++
    this.#isWaiting = true
    // Set anew, since that costs less than another one: it is done for each piece of what comes.
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#due(), this.#ms)
    else this.#timer.refresh()
  }

  /** Nobody waits just now, and somebody soon will. */
  pause(): void {
    this.#isWaiting = false
  }

  end(): void {
    this.#isWaiting = false
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  [Symbol.dispose](): void {
    this.end()
  }

  #due(): void {
    this.#timer = undefined
    const turn = this.#turn
    // Where this process itself stood still, timers are due before what has long been there is read.
    setImmediate(() => {
      if (this.#isWaiting && this.#turn === turn) this.#lost()
    })
  }
}

/** The same promise, given up when the signal is aborted; what it stands for goes on. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  // Whoever gives up does not hear how it ended.
  promise.catch(() => undefined)
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
