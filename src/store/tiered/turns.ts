/** So many at a time; the others in the order in which they came. */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(atOnce: number) {
    this.#free = atOnce
  }

  /** Dispose of it to let the next one have it. */
  async next(): Promise<Disposable> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((wake) => this.#waiting.push(wake))
    let isTaken = true
    return {
      [Symbol.dispose]: () => {
        if (!isTaken) return
        isTaken = false
        // Straight to the next one: freed first, a newcomer could overtake.
        const wake = this.#waiting.shift()
        if (wake === undefined) this.#free++
        else wake()
      },
    }
  }
}
