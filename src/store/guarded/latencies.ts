/** How long the last answers took. */
export class Latencies {
  readonly #last = new Float64Array(MOST)
  #count = 0
  #sorted: Float64Array | undefined

  add(ms: number): void {
    this.#last[this.#count++ % MOST] = ms
    // Sorting for each would cost more than it tells.
    if (this.#count < MOST || this.#count % SORT_EVERY === 0) this.#sorted = undefined
  }

  /** 0 before the first. */
  get lastMs(): number {
    return this.#last[(this.#count - 1) % MOST] ?? 0
  }

  /** Undefined until there are enough to say; `share` of 0.95 for the p95. */
  quantile(share: number): number | undefined {
    const count = Math.min(this.#count, MOST)
    if (count < LEAST) return undefined
    this.#sorted ??= this.#last.slice(0, count).sort()
    return this.#sorted[Math.min(this.#sorted.length - 1, Math.floor(share * this.#sorted.length))]
  }
}

const MOST = 128
const LEAST = 10
const SORT_EVERY = 16
