import { CacheError, isCacheError } from '../../errors.ts'
import { abortable } from '../remote/waiting.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { Breaker, type BreakerMemory } from './breaker.ts'
import type { Clock } from './clock.ts'
import { ExtraBudget } from './extra-budget.ts'
import { type FaultKind, faultKind } from './fault-kind.ts'
import { type Asked, type GuardEvent, tellGuard } from './guard-events.ts'
import type { GuardLimits } from './guard-limits.ts'
import { Latencies } from './latencies.ts'
import { Movement } from './movement.ts'

export interface GuardSettings {
  readonly place: string
  readonly memory: BreakerMemory
  readonly clock: Clock
  readonly limits: GuardLimits
  /** Bytes that have come from the end so far; undefined where it does not say. */
  readonly received: (() => number) | undefined
}

/** Asks something small and repeatable; ends when aborted. */
export type Ask<T> = (signal: AbortSignal) => Promise<T>

/** What all calls of one end have in common: whether it is asked at all, how often, and what came of it. */
export class Guard implements Disposable {
  readonly place: string
  readonly clock: Clock
  readonly limits: GuardLimits
  readonly breaker: Breaker
  readonly lookUps: AdaptiveLimit
  readonly transfers: AdaptiveLimit
  readonly movement: Movement
  readonly hedges: ExtraBudget
  readonly smallReads = new Latencies()
  readonly received: (() => number) | undefined
  /** Calls that nobody waits for: probes, and first answers that are late. */
  readonly #background = new Map<AbortController, Disposable>()
  readonly #retries: ExtraBudget
  readonly #others = new WeakSet<object>()
  readonly #refusals = new Map<string, { readonly error: unknown; readonly untilMs: number }>()

  constructor({ place, memory, clock, limits, received }: GuardSettings) {
    this.place = place
    this.clock = clock
    this.limits = limits
    this.received = received
    this.breaker = new Breaker({ place, memory, clock, limits, tell: (event) => this.#tell(event) })
    this.lookUps = new AdaptiveLimit(limits.lookUps)
    this.transfers = new AdaptiveLimit(limits.transfers)
    this.movement = new Movement(clock, limits, received ?? (() => 0))
    this.hedges = new ExtraBudget(limits.hedgeBudget)
    this.#retries = new ExtraBudget(limits.retryBudget)
  }

  /** Throws at once where the end is not to be asked now; `probe` is asked in the background where it is time to look again. */
  admit(side: string, probe: Ask<unknown>): void {
    const refusal = this.#refusals.get(side) ?? this.#refusals.get(ALL_SIDES)
    if (refusal !== undefined && refusal.untilMs > this.clock.elapsedMs()) throw refusal.error
    const admission = this.breaker.admit()
    if (admission === 'closed') return
    if (admission === 'probe') void this.#probe(probe)
    throw this.breaker.openError()
  }

  /** Counts a call that was admitted. */
  called(): void {
    this.#retries.called()
  }

  /** Waits before the next attempt, or throws what the last one threw. `leftMs`: how much longer somebody waits. */
  async beforeRetry(what: Asked, error: unknown, attempt: number, leftMs: number, signal?: AbortSignal): Promise<void> {
    const { mostRetries, retryMs } = this.limits
    if (!this.mayPass(error) || attempt >= mostRetries || signal?.aborted || this.breaker.isOpen) throw error
    // Full jitter (Brooker, "Exponential Backoff and Jitter", 2015): what failed together does not come back together.
    const waitMs = this.clock.random() * retryMs * 2 ** attempt
    if (waitMs >= leftMs || !this.#retries.take()) throw error
    this.#tell({ kind: 'retried', what, error })
    await this.#pause(waitMs, signal)
  }

  /** What was thrown by another end, which this one was asked together with, says nothing of this one. */
  othersFailed(error: unknown): void {
    if (error instanceof Error) this.#others.add(error)
  }

  kindOf(error: unknown): FaultKind {
    return this.#others.has(error as object) ? 'ours' : faultKind(error)
  }

  /** It may be right to ask again, and to ask for less at a time. */
  mayPass(error: unknown): boolean {
    const kind = this.kindOf(error)
    return kind === 'away' || kind === 'busy'
  }

  /** An attempt came to nothing; somebody had waited for it since `sinceMs` (elapsed). */
  lost(error: unknown, sinceMs: number): void {
    if (this.mayPass(error) || this.kindOf(error) === 'failing') this.breaker.lost(error, sinceMs)
  }

  /** What the error that a call ends with says of the end. */
  failed(side: string, error: unknown): void {
    switch (this.kindOf(error)) {
      case 'away':
      case 'failing':
        this.breaker.failed(error)
        return
      case 'busy':
        this.breaker.busy(error)
        return
      case 'refusing': {
        const isIts = isAnswer(error)
        if (isIts) this.breaker.answered()
        this.refused(isIts ? side : ALL_SIDES, error)
        return
      }
      case 'answer':
        this.breaker.answered()
        return
      case 'ours':
    }
  }

  /** An answer to what was asked at `sinceMs` (elapsed). */
  answered(sinceMs: number): void {
    const { firstAnswerMs } = this.limits
    if (this.breaker.hasAnswered) this.breaker.answered()
    // Twice as long is what the next process waits.
    else this.breaker.answeredFirst(this.clock.elapsedMs() - sinceMs, firstAnswerMs / 2)
  }

  /** How long a look-up may take before this process has heard anything. */
  get firstAnswerMs(): number {
    const { firstAnswerMs, mostFirstAnswerMs } = this.limits
    return Math.max(firstAnswerMs, Math.min(mostFirstAnswerMs, 2 * this.breaker.firstAnswerMs))
  }

  /** What is like it is answered by the same error for a while. */
  refused(side: string, error: unknown): void {
    this.#refusals.set(side, { error, untilMs: this.clock.elapsedMs() + this.limits.refusedMs })
  }

  hedged(what: Asked): boolean {
    const isAllowed = this.hedges.take()
    if (isAllowed) this.#tell({ kind: 'hedged', what })
    return isAllowed
  }

  timedOut(ms: number): CacheError {
    const { place } = this
    // Of 150 ms one may have gone by before anything was asked.
    const shownMs = Number(ms.toPrecision(2))
    return new CacheError('remote.timed-out', `${place} did not answer within ${shownMs} ms.`, {
      hint: 'Does it still run, and does a firewall swallow what goes there?',
      context: { server: place, ms: Math.round(ms) },
    })
  }

  /** Lets a call go on for which nobody waits any longer, until it is told to have ended. */
  letGoOn(control: AbortController): void {
    const { probeMs } = this.limits
    this.#background.set(
      control,
      this.clock.after(probeMs, () => control.abort(this.timedOut(probeMs))),
    )
  }

  ended(control: AbortController): void {
    this.#background.get(control)?.[Symbol.dispose]()
    this.#background.delete(control)
  }

  [Symbol.dispose](): void {
    this.breaker.probed(undefined)
    for (const [control, end] of this.#background) {
      end[Symbol.dispose]()
      control.abort(new Error('the remote end is closed'))
    }
  }

  async #probe(ask: Ask<unknown>): Promise<void> {
    const control = new AbortController()
    this.letGoOn(control)
    const sinceMs = this.clock.elapsedMs()
    try {
      await abortable(ask(control.signal), control.signal)
      this.answered(sinceMs)
      this.breaker.probed(true)
    } catch (error) {
      const kind = this.kindOf(control.signal.reason ?? error)
      this.breaker.probed(kind === 'ours' ? undefined : isAnswer(error), error)
    } finally {
      this.ended(control)
    }
  }

  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = () => reject(signal?.reason)
    using _ = this.clock.after(ms, resolve)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  #tell(event: Told): void {
    tellGuard({ ...event, place: this.place } as GuardEvent)
  }
}

type Told<E = GuardEvent> = E extends GuardEvent ? Omit<E, 'place'> : never

const ALL_SIDES = '*'

/** It says so itself, of what was asked of it: who lets nobody in, or has no room, is there. */
function isAnswer(error: unknown): boolean {
  return isCacheError(error) && (error.code === 'remote.denied' || error.code === 'store.full')
}
