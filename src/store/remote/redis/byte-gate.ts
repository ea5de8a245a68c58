interface Waiter {
  readonly bytes: number
  readonly enter: () => void
}

/** Lets in so many bytes at a time, first come first served; one that is larger than that alone. */
export class ByteGate {
  readonly #mostBytes: number
  readonly #waiting = new Set<Waiter>()
  #insideBytes = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Resolves to what lets them out again, to be called once. Throws the signal's reason. */
  async enter(bytes: number, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted()
    if (this.#waiting.size > 0 || !this.#hasRoom(bytes)) await this.#turn(bytes, signal)
    else this.#insideBytes += bytes
    return () => {
      this.#insideBytes -= bytes
      this.#admit()
    }
  }

  #turn(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter)
        reject(signal?.reason)
        // It may have stood before a smaller one.
        this.#admit()
      }
      const enter = () => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      const waiter = { bytes, enter }
      this.#waiting.add(waiter)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (!this.#hasRoom(waiter.bytes)) return
      this.#waiting.delete(waiter)
      this.#insideBytes += waiter.bytes
      waiter.enter()
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#insideBytes === 0 || this.#insideBytes + bytes <= this.#mostBytes
  }
}
