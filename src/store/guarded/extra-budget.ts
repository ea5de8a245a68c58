/**
 * How much may be asked beyond what was asked for: `reserve` at first, and `share` of each call on top. A token bucket, so that
 * retries of many callers cannot become a flood over an end in trouble (as in Finagle's `RetryBudget`).
 */
export class ExtraBudget {
  readonly #share: number
  readonly #most: number
  #tokens: number

  constructor({ reserve, share }: { readonly reserve: number; readonly share: number }) {
    this.#tokens = reserve
    this.#share = share
    this.#most = Math.max(10 * reserve, 1)
  }

  called(): void {
    this.#tokens = Math.min(this.#most, this.#tokens + this.#share)
  }

  /** True: one more may be asked. */
  take(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
