/** Time and chance, as a guard knows them; tests and simulations bring their own. */
export interface Clock {
  /** Unix milliseconds: what outlives a process. It may be set. */
  wallMs(): number
  /** Since some moment; never goes back. */
  elapsedMs(): number
  /** Calls once, not before `ms` have passed in which this process could also hear answers. */
  after(ms: number, call: () => void): Disposable
  /** At least 0, below 1. */
  random(): number
}

export const SYSTEM_CLOCK: Clock = {
  wallMs: () => Date.now(),
  elapsedMs: () => performance.now(),
  after(ms, call) {
    const due = performance.now() + ms
    let timer = setTimeout(onTime, ms)
    function onTime(): void {
      const lateMs = performance.now() - due
      // What this process spent on other things is no silence of the other's; and what has long been there is read first.
      if (lateMs > MOST_LATE_MS) timer = setTimeout(() => setImmediate(callOnce), Math.min(lateMs, ms))
      else setImmediate(callOnce)
    }
    let isOver = false
    function callOnce(): void {
      if (!isOver) call()
      isOver = true
    }
    return {
      [Symbol.dispose]() {
        isOver = true
        clearTimeout(timer)
      },
    }
  },
  random: () => Math.random(),
}

const MOST_LATE_MS = 20
