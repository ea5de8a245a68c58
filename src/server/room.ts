/** A share of a {@link Room}; disposed of, it is given back. */
export interface Place extends Disposable {
  /** What it was taken for stands still, and `bytes` of it remain in memory: others need not wait for it any longer. */
  stand(bytes: number): void
}

/**
 * Memory for content that is on its way between clients and the store, shared by all requests. Who asked first has it first,
 * however much others ask for, so that hundreds at once take turns instead of each holding its part. It is a count: what is
 * held is the holder's.
 */
export class Room {
  readonly #totalBytes: number
  #movingBytes = 0
  #standingBytes = 0
  readonly #waiting: { readonly bytes: number; readonly wake: () => void }[] = []

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes
  }

  /** Half of it is taken: a copy of what is needed costs less than all that it was cut out of. */
  get isCrowded(): boolean {
    return this.#movingBytes + this.#standingBytes > this.#totalBytes / 2
  }

  /** Done when there is so much room, or all of it is free. */
  async take(bytes: number): Promise<Place> {
    if (this.#waiting.length > 0 || !this.#hasRoomFor(bytes))
      await new Promise<void>((wake) => this.#waiting.push({ bytes, wake }))
    else this.#movingBytes += bytes
    let moving = bytes
    let standing = 0
    const stand = (left: number) => {
      this.#standingBytes += left - standing
      this.#movingBytes -= moving
      standing = left
      moving = 0
      this.#wakeNext()
    }
    return { stand, [Symbol.dispose]: () => stand(0) }
  }

  #hasRoomFor(bytes: number): boolean {
    return this.#movingBytes === 0 || this.#movingBytes + bytes <= this.#totalBytes
  }

  #wakeNext(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#hasRoomFor(next.bytes); next = this.#waiting[0]) {
      // Counted here, or a newcomer could take what the waiting one was promised.
      this.#movingBytes += next.bytes
      this.#waiting.shift()
      next.wake()
    }
  }
}
