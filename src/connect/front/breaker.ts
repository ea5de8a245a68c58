/** Whether the server is asked. */
export type BreakerState = 'unknown' | 'closed' | 'open'

export interface BreakerOptions {
  /** Looks whether the server is well: undefined, or what is wrong. Bounded by itself; never throws. */
  readonly probe: () => Promise<string | undefined>
  /** For how long the server is left alone after it failed. */
  readonly pauseMs: number
  /** Told when it opens, with the reason, and when it closes again. */
  readonly onChange: (change: { readonly isOpen: boolean; readonly why: string | undefined }) => void
}

/**
 * Leaves a server alone that has failed, so that a request costs nothing while it is away: only a probe of our own asks it
 * again, after a pause, and no request waits for that. At first requests wait for the first probe.
 */
export class Breaker implements Disposable {
  #state: BreakerState = 'unknown'
  #probing: Promise<void> | undefined
  #asksAgainAt = 0
  #trusted = new AbortController()
  readonly #options: BreakerOptions

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#probe()
  }

  get state(): BreakerState {
    return this.#state
  }

  /** A signal that is aborted when the server fails another request meanwhile; undefined: do not ask it. */
  async admit(): Promise<AbortSignal | undefined> {
    if (this.#state === 'unknown') await this.#probing
    else if (this.#state === 'open' && performance.now() >= this.#asksAgainAt) this.#probe()
    return this.#state === 'closed' ? this.#trusted.signal : undefined
  }

  /** The server failed. */
  trip(why: string): void {
    this.#asksAgainAt = performance.now() + this.#options.pauseMs
    if (this.#state === 'open') return
    this.#state = 'open'
    this.#trusted.abort()
    this.#options.onChange({ isOpen: true, why })
  }

  [Symbol.dispose](): void {
    this.#state = 'open'
    this.#asksAgainAt = Number.POSITIVE_INFINITY
    this.#trusted.abort()
  }

  #probe(): void {
    this.#probing ??= this.#options.probe().then((why) => {
      this.#probing = undefined
      if (this.#asksAgainAt === Number.POSITIVE_INFINITY) return
      if (why === undefined) this.#close()
      else this.trip(why)
    })
  }

  #close(): void {
    const before = this.#state
    this.#state = 'closed'
    this.#trusted = new AbortController()
    if (before === 'open') this.#options.onChange({ isOpen: false, why: undefined })
  }
}
