/** Hands over what several have, one thing at a time: who gives waits until it has been used, so that it may lend it. */
export class Lent<T> {
  readonly #waiting: { readonly item: T; readonly used: () => void }[] = []
  #wake: PromiseWithResolvers<void> = Promise.withResolvers()
  #isOver = false

  /** Done when it has been used, or nobody wants it any more. */
  give(item: T): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push({ item, used: resolve })
    this.#wake.resolve()
    return promise
  }

  /** Nothing more is given, or taken. */
  end(): void {
    this.#isOver = true
    this.#wake.resolve()
  }

  async *all(): AsyncGenerator<T, undefined> {
    try {
      for (;;) {
        const [next] = this.#waiting
        if (next !== undefined) {
          yield next.item
          this.#waiting.shift()
          next.used()
        } else if (this.#isOver) return
        else {
          await this.#wake.promise
          this.#wake = Promise.withResolvers()
        }
      }
    } finally {
      this.#isOver = true
      for (const { used } of this.#waiting.splice(0)) used()
    }
  }
}
