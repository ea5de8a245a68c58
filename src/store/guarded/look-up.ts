import type { Ask, Guard } from './guard.ts'
import type { Asked } from './guard-events.ts'
import { Latencies } from './latencies.ts'

export interface LookUp<T> {
  readonly what: Asked
  /** What a refusal holds for. */
  readonly side: string
  readonly ask: Ask<T>
  /** On top of what a look-up may take. */
  readonly moreMs?: number
  readonly signal: AbortSignal | undefined
}

/** Small questions whose answer somebody waits for: bounded in time, asked again where that may help. */
export class LookUps {
  readonly #guard: Guard
  readonly #latencies = new Latencies()

  constructor(guard: Guard) {
    this.#guard = guard
  }

  async ask<T>(lookUp: LookUp<T>): Promise<T> {
    const { side, ask, moreMs = 0, signal } = lookUp
    const { clock, breaker, limits, lookUps, firstAnswerMs } = this.#guard
    signal?.throwIfAborted()
    this.#guard.admit(side, ask)
    const startMs = clock.elapsedMs()
    using _ = await lookUps.hold(1, signal)
    // It may have opened while this waited its turn.
    this.#guard.admit(side, ask)
    this.#guard.called()
    this.#guard.hedges.called()
    const isFirst = !breaker.hasAnswered
    const deadlineMs = startMs + moreMs + (isFirst ? firstAnswerMs : limits.lookUpMs)
    try {
      return await this.#attempts(lookUp, deadlineMs, isFirst)
    } catch (error) {
      if (!signal?.aborted) this.#guard.failed(side, error)
      throw error
    }
  }

  async #attempts<T>(lookUp: LookUp<T>, deadlineMs: number, isFirst: boolean): Promise<T> {
    const { clock, lookUps } = this.#guard
    for (let attempt = 0; ; attempt++) {
      const sinceMs = clock.elapsedMs()
      const leftMs = deadlineMs - sinceMs
      const patienceMs = isFirst ? leftMs : Math.min(leftMs, this.#patienceMs(attempt) + (lookUp.moreMs ?? 0))
      try {
        return await new Attempt(this.#guard, lookUp, this.#latencies).run(patienceMs, isFirst)
      } catch (error) {
        if (lookUp.signal?.aborted) throw error
        this.#guard.lost(error, sinceMs)
        if (this.#guard.mayPass(error)) lookUps.overloaded()
        await this.#guard.beforeRetry(lookUp.what, error, attempt, deadlineMs - clock.elapsedMs(), lookUp.signal)
      }
    }
  }

  /** Of one attempt: what nearly no answer took, and more for each that came to nothing, since ways become longer, too. */
  #patienceMs(attempt: number): number {
    const median = this.#latencies.quantile(0.5)
    const usualMs = median === undefined ? Math.max(FIRST_PATIENCE_MS, 2 * this.#latencies.lastMs) : 8 * median
    return Math.max(this.#guard.limits.leastPatienceMs, usualMs) * 2 ** attempt
  }
}

const FIRST_PATIENCE_MS = 250
/** A look-up that brings contents may go on while they come, on an end that brings nothing else. */
const LONGEST_ARRIVAL_MS = 10_000
const ARRIVAL_STEP_MS = 250

/** A question, and perhaps the same once more beside it. */
class Attempt<T> {
  readonly #guard: Guard
  readonly #lookUp: LookUp<T>
  readonly #latencies: Latencies
  readonly #asked = new Set<AbortController>()
  readonly #answer = Promise.withResolvers<T>()
  readonly #startMs: number
  #arrivedBytes: number
  #timer: Disposable | undefined

  constructor(guard: Guard, lookUp: LookUp<T>, latencies: Latencies) {
    this.#guard = guard
    this.#lookUp = lookUp
    this.#latencies = latencies
    this.#startMs = guard.clock.elapsedMs()
    this.#arrivedBytes = guard.received?.() ?? 0
  }

  async run(patienceMs: number, isFirst: boolean): Promise<T> {
    const { signal } = this.#lookUp
    signal?.throwIfAborted()
    const leave = () => this.#answer.reject(signal?.reason)
    signal?.addEventListener('abort', leave, { once: true })
    let isLate = false
    this.#patient(Math.max(0, patienceMs), () => {
      // A new connection takes several round trips, of which the caller knows nothing: whether it comes is worth knowing.
      isLate = isFirst
      this.#answer.reject(this.#guard.timedOut(patienceMs))
    })
    using _ = this.#hedge(isFirst)
    try {
      this.#ask()
      return await this.#answer.promise
    } finally {
      this.#timer?.[Symbol.dispose]()
      signal?.removeEventListener('abort', leave)
      for (const control of this.#asked) {
        if (isLate) this.#guard.letGoOn(control)
        else control.abort(signal?.reason)
      }
    }
  }

  #ask(): void {
    const { clock } = this.#guard
    const control = new AbortController()
    this.#asked.add(control)
    const sinceMs = clock.elapsedMs()
    this.#lookUp.ask(control.signal).then(
      (value) => {
        this.#asked.delete(control)
        this.#guard.ended(control)
        this.#guard.answered(sinceMs)
        this.#learn(clock.elapsedMs() - sinceMs)
        this.#answer.resolve(value)
      },
      (error) => {
        this.#asked.delete(control)
        this.#guard.ended(control)
        if (this.#asked.size === 0) this.#answer.reject(error)
      },
    )
  }

  #learn(ms: number): void {
    if ((this.#lookUp.moreMs ?? 0) > 0) return
    this.#latencies.add(ms)
    this.#guard.lookUps.answered(ms)
  }

  /** The same once more, after what nearly all answers took (Dean and Barroso, "The Tail at Scale", 2013). */
  #hedge(isFirst: boolean): Disposable | undefined {
    const { what, moreMs = 0 } = this.#lookUp
    const p95 = isFirst || moreMs > 0 ? undefined : this.#latencies.quantile(0.95)
    if (p95 === undefined) return undefined
    return this.#guard.clock.after(Math.max(LEAST_HEDGE_MS, p95), () => {
      if (this.#guard.hedged(what)) this.#ask()
    })
  }

  #patient(ms: number, lose: () => void): void {
    this.#timer = this.#guard.clock.after(ms, () => {
      if (this.#isArriving()) this.#patient(ARRIVAL_STEP_MS, lose)
      else lose()
    })
  }

  #isArriving(): boolean {
    const { received, transfers, clock, limits } = this.#guard
    const bytes = received?.() ?? 0
    const more = bytes - this.#arrivedBytes
    const waitedMs = clock.elapsedMs() - this.#startMs
    this.#arrivedBytes = bytes
    return more > 0 && waitedMs < (transfers.used === 0 ? LONGEST_ARRIVAL_MS : 2 * limits.lookUpMs)
  }
}

/** Below it a second question costs more than it can win. */
const LEAST_HEDGE_MS = 5
