import { isCacheError } from '../../errors.ts'
import { abortable } from '../remote/waiting.ts'
import type { Ask, Guard } from './guard.ts'
import type { Asked } from './guard-events.ts'
import type { Watch } from './movement.ts'

export interface Transfer {
  readonly what: Asked
  readonly side: string
  readonly bytes: number
  /** False: what is to be sent can be had only once. */
  readonly isRepeatable: boolean
  /** Somebody waits for it. */
  readonly isAwaited: boolean
  /** How to see whether the end is back. */
  readonly probe: Ask<unknown>
  readonly signal: AbortSignal | undefined
}

/** One attempt at a transfer, which is over with the first of the last three that is called. */
export interface Attempt {
  readonly signal: AbortSignal
  readonly watch: Watch
  /** Waits for the end alone: what it takes counts. */
  on<T>(step: Promise<T>): Promise<T>
  done(): void
  /** Nobody wants the rest. */
  left(): void
  /** What the failure is to be called. */
  failed(error: unknown): unknown
}

/** Bytes to or from an end: not bounded in time, but given up when they do not move. */
export class Transfers {
  readonly #guard: Guard

  constructor(guard: Guard) {
    this.#guard = guard
  }

  /** Runs it until it is done. */
  async run<T>(transfer: Transfer, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    using _ = await this.admitted(transfer)
    return await this.attempts(transfer, async (attempt) => {
      const done = await attempt.on(run(attempt))
      attempt.done()
      return done
    })
  }

  /** Room for it, or what is thrown while the end is not to be asked. */
  async admitted({ side, bytes, probe, signal }: Transfer): Promise<Disposable> {
    signal?.throwIfAborted()
    this.#guard.admit(side, probe)
    const weight = Math.min(1, Math.max(LEAST_WEIGHT, bytes / UNIT_BYTES))
    const slot = await this.#guard.transfers.hold(weight, signal)
    try {
      // It may have opened while this waited its turn.
      this.#guard.admit(side, probe)
    } catch (error) {
      slot[Symbol.dispose]()
      throw error
    }
    this.#guard.called()
    return slot
  }

  /** As often as may be, until `run` is done with one of them; that one it tells when it is over. */
  async attempts<T>(transfer: Transfer, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    for (let count = 0; ; count++) {
      const attempt = this.#begin(transfer, count)
      try {
        return await run(attempt)
      } catch (failure) {
        await this.again(transfer, attempt.failed(failure), count)
      }
    }
  }

  /** Waits until it may be tried again, or throws the error, which then is the end of the transfer. */
  async again({ what, side, isRepeatable, signal }: Transfer, error: unknown, count: number): Promise<void> {
    try {
      if (!isRepeatable || isSlow(error, count)) throw error
      await this.#guard.beforeRetry(what, error, count, Number.POSITIVE_INFINITY, signal)
    } catch (last) {
      // Of bytes that were sent it is our own fault.
      const isOurs = what !== 'read' && isCacheError(last) && last.code === 'store.corrupt'
      if (!signal?.aborted && !isOurs) this.#guard.failed(side, last)
      throw last
    }
  }

  /** A small blob is there or on its way: it need not stand still for as long as a large one may. */
  #smallGraceMs(count: number): number {
    const { smallReads, limits } = this.#guard
    const [median, p95] = [smallReads.quantile(0.5), smallReads.quantile(0.95)]
    const usualMs = median === undefined || p95 === undefined ? FIRST_SMALL_GRACE_MS : Math.max(8 * median, 4 * p95)
    return Math.min(limits.graceMs, Math.max(LEAST_SMALL_GRACE_MS, usualMs) * 1.5 ** count)
  }

  #begin({ what, bytes, isAwaited, signal }: Transfer, count: number): Attempt {
    const guard = this.#guard
    const isSmall = what === 'read' && bytes <= UNIT_BYTES
    const control = new AbortController()
    const leave = () => control.abort(signal?.reason)
    if (signal?.aborted) leave()
    signal?.addEventListener('abort', leave, { once: true })
    const sinceMs = guard.clock.elapsedMs()
    const isBlind = what !== 'read' || guard.received === undefined
    const watch = guard.movement.watch({
      ...{ bytes, isBlind },
      graceMs: isSmall ? this.#smallGraceMs(count) : undefined,
      lost: (ms) => control.abort(guard.timedOut(ms)),
    })
    let isOver = false
    const over = () => {
      const isFirst = !isOver
      isOver = true
      watch[Symbol.dispose]()
      signal?.removeEventListener('abort', leave)
      return isFirst
    }
    return {
      signal: control.signal,
      watch,
      async on(step) {
        watch.begin()
        try {
          return await abortable(step, control.signal)
        } finally {
          watch.end()
        }
      },
      done() {
        if (!over()) return
        guard.breaker.answered()
        if (isSmall) guard.smallReads.add(guard.clock.elapsedMs() - sinceMs)
      },
      left() {
        if (over()) control.abort()
      },
      failed(failure) {
        const error = control.signal.aborted ? control.signal.reason : failure
        if (!over() || signal?.aborted) return error
        if (guard.mayPass(error)) guard.transfers.overloaded()
        if (isAwaited) guard.lost(error, sinceMs)
        return error
      },
    }
  }
}

/** Of a small blob while little is known of how long they take. */
const FIRST_SMALL_GRACE_MS = 500
const LEAST_SMALL_GRACE_MS = 300

const UNIT_BYTES = 64 << 10
const LEAST_WEIGHT = 1 / 16

/** What stood still once would cost as long again: a second time it may, not a third. */
function isSlow(error: unknown, count: number): boolean {
  return isCacheError(error) && error.code === 'remote.timed-out' && count > 0
}
