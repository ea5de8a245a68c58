import { asActionDigest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import type { ActionStore } from '../contracts.ts'
import type { FleetHoldOptions, FleetLease, FleetLeases, FleetTurn } from '../fleet-leases.ts'
import { abortable } from '../remote/waiting.ts'
import type { GuardedParts } from './guarded-blobs.ts'

export interface GuardedLeasesOptions {
  /** Asked by a probe. */
  readonly actions: ActionStore
  readonly parts: GuardedParts
}

/** Leases whose first word comes as quickly as a look-up's answer, and which are waited for as long as the caller likes from then on. */
export function guardedLeases(inner: FleetLeases, { actions, parts }: GuardedLeasesOptions): FleetLeases {
  const { guard } = parts
  const failed = (error: unknown, startMs: number, isAwaited = true) => {
    // A server that is not recue's has none, and is none the worse for it.
    if (isCacheError(error) && error.code === 'remote.incompatible') guard.refused(LEASES, error)
    // What nobody waits for costs nobody anything.
    else if (isAwaited) {
      guard.lost(error, startMs)
      guard.failed(LEASES, error)
    }
  }
  return {
    async usual(scope, things, signal) {
      signal?.throwIfAborted()
      guard.admit(LEASES, (within) => actions.get(scope, PROBED, within))
      const startMs = guard.clock.elapsedMs()
      using patience = new Patience(guard, signal)
      try {
        const told = await abortable(inner.usual(scope, things, patience.signal), patience.signal)
        guard.answered(startMs)
        return told
      } catch (error) {
        if (!signal?.aborted) failed(error, startMs, false)
        throw error
      }
    },
    async hold(scope, action, options) {
      const { signal, onWait, isAwaited } = options
      signal?.throwIfAborted()
      guard.admit(LEASES, (within) => actions.get(scope, action, within))
      const startMs = guard.clock.elapsedMs()
      using patience = new Patience(guard, signal)
      const heard = () => {
        patience.end()
        guard.answered(startMs)
      }
      const watched: FleetHoldOptions = {
        ...options,
        signal: patience.signal,
        onWait: (holder) => {
          heard()
          onWait?.(holder)
        },
      }
      try {
        const turn = await patience.wait(inner.hold(scope, action, watched))
        heard()
        return turn.kind === 'held' ? { kind: 'held', lease: bounded(turn.lease, guard) } : turn
      } catch (error) {
        if (!signal?.aborted) failed(error, startMs, isAwaited)
        throw error
      }
    },
  }
}

const LEASES = 'leases'
/** Nobody's action: whether there is an answer is all that counts. */
const PROBED = asActionDigest({ hash: '0'.repeat(64), sizeBytes: 1 })

type Guard = GuardedParts['guard']

/** Aborts its signal with the caller's, or when nothing was heard in time. */
class Patience implements Disposable {
  readonly #control = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly #timer: Disposable
  readonly #leave = () => this.#control.abort(this.#outer?.reason)

  constructor(guard: Guard, signal: AbortSignal | undefined) {
    const ms = guard.breaker.hasAnswered ? guard.limits.lookUpMs : guard.firstAnswerMs
    this.#timer = guard.clock.after(ms, () => this.#control.abort(guard.timedOut(ms)))
    this.#outer = signal
    signal?.addEventListener('abort', this.#leave, { once: true })
  }

  get signal(): AbortSignal {
    return this.#control.signal
  }

  end(): void {
    this.#timer[Symbol.dispose]()
  }

  async wait(turn: Promise<FleetTurn>): Promise<FleetTurn> {
    const { signal } = this
    // What comes after it was given up belongs to nobody.
    turn.then(
      (late) => {
        if (signal.aborted && late.kind === 'held') void late.lease[Symbol.asyncDispose]()
      },
      () => undefined,
    )
    return abortable(turn, signal)
  }

  [Symbol.dispose](): void {
    this.end()
    this.#outer?.removeEventListener('abort', this.#leave)
  }
}

/** Its end is told, and not waited for when nobody listens any more. */
function bounded(lease: FleetLease, { clock, limits }: Guard): FleetLease {
  const within = async (done: PromiseLike<void>) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    using _ = clock.after(limits.lookUpMs, resolve)
    await Promise.race([done, promise])
  }
  return {
    end: (isKept) => within(lease.end(isKept)),
    [Symbol.asyncDispose]: () => within(lease[Symbol.asyncDispose]()),
  }
}
