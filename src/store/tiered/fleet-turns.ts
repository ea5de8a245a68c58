import type { ActionDigest } from '../../digest/digest.ts'
import { type ErrorCode, isCacheError } from '../../errors.ts'
import type { Scope } from '../contracts.ts'
import { eitherSignal } from '../either-signal.ts'
import type { FleetHoldOptions, FleetLease } from '../fleet-leases.ts'
import type { FarActions } from './far-actions.ts'
import type { FarEnd } from './far-end.ts'
import type { WorkHoldOptions, WorkLease, WorkTurn } from './tiered.ts'
import type { ArrivingUpload, Uploads } from './uploads.ts'

/** What takes less is done twice rather than asked for. */
const LEAST_WORK_MS = 2_000
/** Who waits for the answer loses its time: a twentieth of what the work takes at most. */
const LEAST_ANSWERS = 20

interface FleetTurnsOptions {
  readonly far: FarEnd
  readonly actions: FarActions
  readonly uploads: Uploads
}

/** Whose turn it is to do work that other machines may be at. What one ends, the others hear of when it is far. */
export class FleetTurns {
  readonly #options: FleetTurnsOptions
  #hasNone = false
  readonly #ending = new Set<Promise<void>>()

  constructor(options: FleetTurnsOptions) {
    this.#options = options
  }

  /**
   * Undefined where it is not worth asking, and where nobody can say. Where it is, but no waiting for the answer, the work is the
   * caller's at once, and others hear of it unless one of them is at it. Rejects only when aborted.
   */
  async hold(scope: Scope, action: ActionDigest, options: WorkHoldOptions): Promise<WorkTurn | undefined> {
    const { likelyMs = 0, ...asked } = options
    const { usualMs } = asked
    if (this.#hasNone || (usualMs !== undefined && usualMs < LEAST_WORK_MS)) return undefined
    return this.#isWorthWaiting(usualMs ?? likelyMs)
      ? this.#ask(scope, action, asked)
      : { kind: 'held', lease: this.#askMeanwhile(scope, action, asked) }
  }

  /** When all are told that there is somebody to tell. */
  async settled(): Promise<void> {
    while (this.#ending.size > 0) await Promise.all(this.#ending)
  }

  #isWorthWaiting(ms: number): boolean {
    const { quickestMs = 0 } = this.#options.actions
    return ms >= Math.max(LEAST_WORK_MS, LEAST_ANSWERS * quickestMs)
  }

  async #ask(scope: Scope, action: ActionDigest, asked: FleetHoldOptions): Promise<WorkTurn | undefined> {
    const { far, actions, uploads } = this.#options
    const { signal } = asked
    // From now on, since it may be far before its end is told.
    const upload = uploads.arriving(scope, action)
    let isHeld = false
    let hasWaited = false
    try {
      const { fleetLeases } = await far.opened()
      if (fleetLeases === undefined) return undefined
      const turn = await fleetLeases.hold(scope, action, {
        ...asked,
        signal: eitherSignal(far.signal, signal),
        onWait: (holder) => {
          hasWaited = true
          asked.onWait?.(holder)
        },
      })
      // What was not there before they did it, may be now.
      if (hasWaited || turn.kind === 'ended') actions.forget(scope, action)
      if (turn.kind === 'ended') return turn
      isHeld = true
      return { kind: 'held', lease: this.#own(turn.lease, upload) }
    } catch (error) {
      signal?.throwIfAborted()
      this.#hasNone ||= isCacheError(error) && NONE.has(error.code)
      return undefined
    } finally {
      if (!isHeld) upload[Symbol.dispose]()
    }
  }

  /**
   * Of work that goes on meanwhile. It has no lease as long as another one has it, which may have begun at the same time, and where
   * it ends before there is an answer.
   */
  #askMeanwhile(scope: Scope, action: ActionDigest, asked: FleetHoldOptions): WorkLease {
    const leaving = new AbortController()
    const leave = () => leaving.abort()
    let lease: WorkLease | undefined
    const signal = eitherSignal(leaving.signal, asked.signal)
    this.#ask(scope, action, { ...asked, isAwaited: false, signal, onWait: () => undefined }).then(
      (turn) => {
        if (turn?.kind !== 'held') return
        if (leaving.signal.aborted) void turn.lease[Symbol.asyncDispose]()
        else lease = turn.lease
      },
      () => undefined,
    )
    return {
      end: (how) => (lease === undefined ? leave() : lease.end(how)),
      async [Symbol.asyncDispose]() {
        if (lease === undefined) leave()
        else await lease[Symbol.asyncDispose]()
      },
    }
  }

  #own(lease: FleetLease, upload: ArrivingUpload): WorkLease {
    let isOver = false
    const over = (tell: () => Promise<void> | PromiseLike<void>): void => {
      if (isOver) return
      isOver = true
      const ending = (async () => tell())()
        // Whoever cannot be told hears that the lease is gone.
        .catch(() => undefined)
        .finally(() => this.#ending.delete(ending))
      this.#ending.add(ending)
    }
    return {
      end(how) {
        over(() => (how === 'kept' ? endOnceThere(lease, upload) : endNow(lease, upload, how === 'found')))
      },
      async [Symbol.asyncDispose]() {
        over(() => {
          upload[Symbol.dispose]()
          return lease[Symbol.asyncDispose]()
        })
      },
    }
  }
}

/** Who has no leases, or none for us, has none later either. */
const NONE: ReadonlySet<string> = new Set(['remote.incompatible', 'remote.denied'] satisfies ErrorCode[])

async function endNow(lease: FleetLease, upload: ArrivingUpload, isKept: boolean): Promise<void> {
  upload[Symbol.dispose]()
  await lease.end(isKept)
}

/** Where the upload is left to another process, the work is left to another machine. */
async function endOnceThere(lease: FleetLease, upload: ArrivingUpload): Promise<void> {
  const isThere = await upload.isThere
  if (isThere === undefined) await lease[Symbol.asyncDispose]()
  else await lease.end(isThere)
}
