import type { Clock } from './clock.ts'

export interface MovementLimits {
  /** While nothing comes at all. */
  readonly graceMs: number
  /** What an end as a whole has to bring or take to be worth waiting for. */
  readonly floorBytesPerSecond: number
}

export interface WatchOptions {
  /** What it is about, at most. */
  readonly bytes: number
  /** Another grace than that of the end. */
  readonly graceMs?: number | undefined
  /** True: nobody sees how far it is before it is done. */
  readonly isBlind: boolean
  /** Called once when it is not worth waiting any longer. */
  readonly lost: (waitedMs: number) => void
}

/** One transfer. Only the time between `begin` and `end` counts, when it is the end's turn. */
export interface Watch extends Disposable {
  begin(): void
  end(): void
  /** So much was sent or has come. */
  moved(bytes: number): void
}

/**
 * Tells transfers that are slow from those that are dead: waiting uses up a credit of time, which bytes give back. What moves at
 * the floor or faster is never given up; what stands still is after `graceMs`, and what trickles soon after. Bytes count for all
 * that wait, since many share a connection; whoever stands still while others flow is given up by its size.
 */
export class Movement {
  readonly #clock: Clock
  readonly #limits: MovementLimits
  readonly #received: () => number
  readonly #waiting = new Set<Waiting>()
  #blindBytes = 0
  #sentBytes = 0
  #seenBytes = 0
  #tick: Disposable | undefined

  constructor(clock: Clock, limits: MovementLimits, received: () => number) {
    this.#clock = clock
    this.#limits = limits
    this.#received = received
  }

  watch({ bytes, graceMs = this.#limits.graceMs, isBlind, lost }: WatchOptions): Watch {
    if (isBlind) this.#blindBytes += bytes
    const mostMs = graceMs + (isBlind ? this.#msFor(this.#blindBytes) : 0)
    const leftMs = Math.max(LONGEST_GRACES * graceMs + SLOW_SHARE * this.#msFor(bytes), mostMs)
    const waiting: Waiting = { creditMs: mostMs, mostMs, leftMs, waitedMs: 0, sinceMs: 0, lost }
    const end = () => this.#end(waiting)
    return {
      begin: () => this.#begin(waiting),
      end,
      moved: (more) => {
        this.#sentBytes += more
      },
      [Symbol.dispose]: () => {
        end()
        if (isBlind) this.#blindBytes -= bytes
        isBlind = false
      },
    }
  }

  #begin(waiting: Waiting): void {
    waiting.sinceMs = this.#clock.elapsedMs()
    this.#waiting.add(waiting)
    if (this.#tick !== undefined) return
    this.#seenBytes = this.#allBytes()
    this.#tick = this.#clock.after(TICK_MS, () => this.#look())
  }

  #end(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return
    charge(waiting, this.#clock.elapsedMs())
  }

  #look(): void {
    const now = this.#clock.elapsedMs()
    const all = this.#allBytes()
    const backMs = this.#msFor(all - this.#seenBytes)
    this.#seenBytes = all
    for (const waiting of [...this.#waiting]) {
      charge(waiting, now)
      waiting.creditMs = Math.min(waiting.mostMs, waiting.creditMs + backMs)
      if (waiting.creditMs > 0 && waiting.leftMs > 0) continue
      this.#waiting.delete(waiting)
      waiting.lost(waiting.waitedMs)
    }
    this.#tick = this.#waiting.size === 0 ? undefined : this.#clock.after(TICK_MS, () => this.#look())
  }

  #allBytes(): number {
    return this.#received() + this.#sentBytes
  }

  #msFor(bytes: number): number {
    return (bytes * 1000) / this.#limits.floorBytesPerSecond
  }
}

interface Waiting {
  creditMs: number
  readonly mostMs: number
  leftMs: number
  waitedMs: number
  sinceMs: number
  readonly lost: (waitedMs: number) => void
}

function charge(waiting: Waiting, now: number): void {
  // Longer than that this process did not run: the other may have spoken.
  const ms = Math.min(now - waiting.sinceMs, 2 * TICK_MS)
  waiting.sinceMs = now
  waiting.waitedMs += ms
  waiting.creditMs -= ms
  waiting.leftMs -= ms
}

const TICK_MS = 100
/** What stands still while others flow: so many times as long as it would be waited for alone. */
const LONGEST_GRACES = 5
/** Others may take most of the way. */
const SLOW_SHARE = 16
