/** A source that one side gives chunks to and the other reads, a chunk at a time: whoever gives waits until it is used. */
export class Feed implements AsyncIterable<Uint8Array> {
  #next: Uint8Array | undefined
  #isEnded = false
  #failure: { readonly error: unknown } | undefined
  #readerWakes: (() => void) | undefined
  #giverWakes: (() => void) | undefined

  /** Done when the reader asks for more; throws what the feed failed with. The chunk must stay as it is until then. */
  async give(chunk: Uint8Array): Promise<void> {
    if (this.#failure === undefined) {
      this.#next = chunk
      const used = new Promise<void>((resolve) => {
        this.#giverWakes = resolve
      })
      this.#readerWakes?.()
      await used
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }

  end(): void {
    this.#isEnded = true
    this.#readerWakes?.()
  }

  /** Both sides are told, at the latest when they ask next; what they were told first counts. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#readerWakes?.()
    this.#giverWakes?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#next === undefined && !this.#isEnded && this.#failure === undefined)
        await new Promise<void>((resolve) => {
          this.#readerWakes = resolve
        })
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#next === undefined) return
      yield this.#next
      this.#next = undefined
      this.#giverWakes?.()
    }
  }
}
