/** Names that were added less than `forMs` ago; of too many the oldest are forgotten. */
export class Recently {
  readonly #most: number
  readonly #forMs: number
  readonly #now: () => number
  /** In the order of their times. */
  readonly #added = new Map<string, number>()

  constructor(most: number, forMs: number, now: () => number) {
    this.#most = most
    this.#forMs = forMs
    this.#now = now
  }

  add(name: string): void {
    this.#added.delete(name)
    this.#added.set(name, this.#now())
    const [oldest] = this.#added.keys()
    if (this.#added.size > this.#most && oldest !== undefined) this.#added.delete(oldest)
  }

  remove(name: string): void {
    this.#added.delete(name)
  }

  has(name: string): boolean {
    const addedMs = this.#added.get(name)
    // A clock that was set back makes nothing last longer.
    return addedMs !== undefined && Math.abs(this.#now() - addedMs) < this.#forMs
  }
}
