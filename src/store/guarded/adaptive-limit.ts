export interface LimitOptions {
  readonly first: number
  readonly least: number
  readonly most: number
}

/**
 * How much may be under way at once. It grows by one for each round in which all of it was used and nothing was slow, and shrinks
 * to three quarters when the end shows that it is too much, once in a round: additive increase, multiplicative decrease (Chiu and
 * Jain, 1989). Slow is what takes more than twice the least that was seen lately (delay as the sign of a queue: Brakmo and
 * Peterson, "TCP Vegas", 1995). Who waits is served in the order of coming.
 */
export class AdaptiveLimit {
  readonly #options: LimitOptions
  readonly #waiting: { readonly weight: number; readonly wake: () => void }[] = []
  #limit: number
  #used = 0
  #leastMs = Number.POSITIVE_INFINITY
  /** Answers until the limit may shrink again. */
  #rest = 0

  constructor(options: LimitOptions) {
    this.#options = options
    this.#limit = options.first
  }

  get limit(): number {
    return this.#limit
  }

  get used(): number {
    return this.#used
  }

  /** Room for something of that weight, until it is disposed of. One alone always has room. */
  async hold(weight: number, signal?: AbortSignal): Promise<Disposable> {
    if (this.#waiting.length > 0 || !this.#hasRoom(weight)) await this.#turn(weight, signal)
    else this.#used += weight
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return
        isHeld = false
        this.#used -= weight
        this.#next()
      },
    }
  }

  answered(ms: number): void {
    // Forgotten slowly, or a way that became longer would look slow for ever.
    this.#leastMs = Math.min(ms, this.#leastMs * 1.01)
    if (this.#rest > 0) this.#rest--
    if (ms > 2 * this.#leastMs + SLACK_MS) this.overloaded()
    else if (this.#used >= this.#limit / 2) this.#limit = Math.min(this.#options.most, this.#limit + 1 / this.#limit)
    this.#next()
  }

  overloaded(): void {
    if (this.#rest > 0) return
    this.#limit = Math.max(this.#options.least, this.#limit * 0.75)
    this.#rest = Math.ceil(this.#used)
  }

  #hasRoom(weight: number): boolean {
    return this.#used === 0 || this.#used + weight <= this.#limit
  }

  async #turn(weight: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const one = { weight, wake: resolve }
    const leave = () => {
      const at = this.#waiting.indexOf(one)
      if (at >= 0) this.#waiting.splice(at, 1)
      // Who stood behind something heavy may fit.
      this.#next()
      reject(signal?.reason)
    }
    this.#waiting.push(one)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#hasRoom(first.weight); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#used += first.weight
      first.wake()
    }
  }
}

/** What is below this is the noise of two machines, not a queue. */
const SLACK_MS = 10
