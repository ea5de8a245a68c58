import { isCacheError } from '../../errors.ts'
import type { ActionStore } from '../contracts.ts'
import type { FleetHoldOptions, FleetLease, FleetLeases, FleetTurn } from '../fleet-leases.ts'
import { abortable } from '../remote/waiting.ts'
import type { GuardedParts } from './guarded-blobs.ts'

export interface GuardedLeasesOptions {
  /** Asked by a probe. */
  readonly actions: ActionStore
  readonly parts: GuardedParts
  /** Another one has done work: its result may be there now. */
  readonly onDone: () => void
}

/** Leases whose first word comes as quickly as a look-up's answer, and which are waited for as long as the caller likes from then on. */
export function guardedLeases(inner: FleetLeases, { actions, parts, onDone }: GuardedLeasesOptions): FleetLeases {
  const { guard } = parts
  return {
    async hold(scope, action, options) {
      const { signal, onWait } = options
      signal?.throwIfAborted()
      guard.admit(LEASES, (within) => actions.get(scope, action, within))
      const startMs = guard.clock.elapsedMs()
      let hasWaited = false
      using patience = new Patience(guard, signal)
      const heard = () => {
        patience.end()
        guard.answered(startMs)
      }
      const watched: FleetHoldOptions = {
        ...options,
        signal: patience.signal,
        onWait: (holder) => {
          hasWaited = true
          heard()
          onWait?.(holder)
        },
      }
      try {
        const turn = await patience.wait(inner.hold(scope, action, watched))
        heard()
        if (hasWaited || turn.kind === 'ended') onDone()
        return turn.kind === 'held' ? { kind: 'held', lease: bounded(turn.lease, guard) } : turn
      } catch (error) {
        if (signal?.aborted) throw error
        // A server that is not recue's has none, and is none the worse for it.
        if (isCacheError(error) && error.code === 'remote.incompatible') guard.refused(LEASES, error)
        else {
          guard.lost(error, startMs)
          guard.failed(LEASES, error)
        }
        throw error
      }
    },
  }
}

const LEASES = 'leases'

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
