import type { Clock } from './clock.ts'

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly call: () => void
  isOver: boolean
}

/** Time that passes only when it is told to, and chance that comes again with the same seed. */
export class VirtualClock implements Clock {
  #nowMs = 0
  #wallMs = 1_700_000_000_000
  #order = 0
  #seed: number
  readonly #timers: Timer[] = []

  constructor(seed = 1) {
    this.#seed = seed
  }

  wallMs(): number {
    return this.#wallMs
  }

  elapsedMs(): number {
    return this.#nowMs
  }

  /** mulberry32. */
  random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  after(ms: number, call: () => void): Disposable {
    const timer: Timer = { dueMs: this.#nowMs + ms, order: this.#order++, call, isOver: false }
    push(this.#timers, timer)
    return {
      [Symbol.dispose]() {
        timer.isOver = true
      },
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  /** Somebody sets the clock on the wall. */
  setWall(byMs: number): void {
    this.#wallMs += byMs
  }

  /** Where nobody has set a timer. */
  skip(ms: number): void {
    this.#nowMs += ms
    this.#wallMs += ms
  }

  /** Lets so much time pass, with all that happens in it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await settled()
    await this.#steps(() => (this.#next()?.dueMs ?? Number.POSITIVE_INFINITY) > endMs)
    this.skip(endMs - this.#nowMs)
  }

  /** Lets time pass until the promise settles. Throws where nothing is due that could settle it. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const over = () => {
      isSettled = true
    }
    promise.then(over, over)
    await settled()
    await this.#steps(() => isSettled)
    if (!isSettled) throw new Error('nothing is due, and nothing settled')
    return promise
  }

  /** One timer after the other, until it is over or nothing is due any more. */
  async #steps(isOver: () => boolean): Promise<void> {
    let isMore = true
    // What promises have to do is done between two calls of `setImmediate`; many in a row save the loop its look at the system.
    const step = () => {
      isMore &&= !isOver() && this.#step()
    }
    while (isMore) {
      for (let i = 1; i < AT_ONCE; i++) setImmediate(step)
      await new Promise<void>((resolve) =>
        setImmediate(() => {
          step()
          resolve()
        }),
      )
    }
    await settled()
  }

  /** False where nothing is due. */
  #step(): boolean {
    const timer = this.#next()
    if (timer === undefined) return false
    pop(this.#timers)
    this.skip(Math.max(0, timer.dueMs - this.#nowMs))
    timer.isOver = true
    timer.call()
    return true
  }

  #next(): Timer | undefined {
    while (this.#timers[0]?.isOver) pop(this.#timers)
    return this.#timers[0]
  }
}

const AT_ONCE = 64

/** All that promises had to do is done. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function isBefore(a: Timer | undefined, b: Timer | undefined): boolean {
  if (a === undefined || b === undefined) return b === undefined && a !== undefined
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

function push(heap: Timer[], timer: Timer): void {
  let at = heap.length
  heap.push(timer)
  for (let up = (at - 1) >> 1; at > 0 && isBefore(timer, heap[up]); up = (at - 1) >> 1) {
    heap[at] = heap[up] as Timer
    at = up
  }
  heap[at] = timer
}

function pop(heap: Timer[]): Timer | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return first
  let at = 0
  for (let down = 1; down < heap.length; down = 2 * at + 1) {
    if (isBefore(heap[down + 1], heap[down])) down++
    if (!isBefore(heap[down], last)) break
    heap[at] = heap[down] as Timer
    at = down
  }
  heap[at] = last
  return first
}
