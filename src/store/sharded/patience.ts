import { setMaxListeners } from 'node:events'
import type { Clock } from '../guarded/clock.ts'
import { ExtraBudget } from '../guarded/extra-budget.ts'
import { Latencies } from '../guarded/latencies.ts'

/** What is asked, for how long it may take. */
export type Kind = 'look-up' | 'read'

/** Until enough is known: longer than a near end takes to answer on a new connection. */
const FIRST_MS = 50
/** Below it a second question costs more than it can win. */
const LEAST_MS = 5
/** Second questions: a few that a process may begin with, and one in twenty calls. */
const BUDGET = { reserve: 10, share: 0.05 }
/** An end that was overtaken has so long to show that it is there: as long as a guard waits for its first answer. */
const LEARNED_MS = 150

/**
 * How long one end of a key is waited for before the next is asked as well (Dean and Barroso, "The Tail at Scale", 2013): about as
 * long as nearly all answers take. The end that was overtaken is not given up, so that its guard finds out what it is worth.
 */
export class Patience implements AsyncDisposable {
  readonly clock: Clock
  /** Aborted when everything is left. */
  readonly left: AbortSignal
  readonly #latencies: Readonly<Record<Kind, Latencies>> = { 'look-up': new Latencies(), read: new Latencies() }
  readonly #budget = new ExtraBudget(BUDGET)
  readonly #control = new AbortController()
  readonly #overtaken = new Map<Promise<unknown>, number>()

  constructor(clock: Clock) {
    this.clock = clock
    this.left = this.#control.signal
    // All that is under way listens to it.
    setMaxListeners(0, this.left)
  }

  /** `units`: so many times as much as is learned from. */
  waitMs(kind: Kind, units: number): number {
    return Math.max(LEAST_MS, this.#latencies[kind].quantile(0.95) ?? FIRST_MS) * Math.max(1, units)
  }

  /** An end was asked. */
  called(): void {
    this.#budget.called()
  }

  answered(kind: Kind, units: number, ms: number): void {
    if (units <= 1) this.#latencies[kind].add(ms)
  }

  /** Whether one more may be asked though the one before may still answer. */
  mayOvertake(): boolean {
    return this.#budget.take()
  }

  /** What nobody waits for any longer goes on until it ends by itself, or everything is left. */
  goOn(call: Promise<unknown>, sinceMs: number): void {
    this.#overtaken.set(call, sinceMs)
    const over = () => void this.#overtaken.delete(call)
    call.then(over, over)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const untilMs = Math.max(0, ...this.#overtaken.values()) + LEARNED_MS
    if (this.#overtaken.size > 0) {
      using _ = this.clock.after(Math.max(0, untilMs - this.clock.elapsedMs()), resolve)
      await Promise.race([promise, Promise.allSettled(this.#overtaken.keys())])
    }
    this.#control.abort(new Error('the remote ends are closed'))
  }
}
