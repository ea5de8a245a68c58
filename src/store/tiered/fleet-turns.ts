import type { ActionDigest } from '../../digest/digest.ts'
import { type ErrorCode, isCacheError } from '../../errors.ts'
import type { Scope } from '../contracts.ts'
import type { FleetHoldOptions, FleetLease } from '../fleet-leases.ts'
import type { FarActions } from './far-actions.ts'
import type { FarEnd } from './far-end.ts'
import type { WorkLease, WorkTurn } from './tiered.ts'
import type { ArrivingUpload, Uploads } from './uploads.ts'

/** What takes less is done twice rather than asked for. */
const LEAST_WORK_MS = 2_000
/** To ask takes an answer's time: at most a twentieth of what the work takes. */
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

  /** Undefined where it is not worth asking, and where nobody can say. Rejects only when aborted. */
  async hold(scope: Scope, action: ActionDigest, options: FleetHoldOptions): Promise<WorkTurn | undefined> {
    const { usualMs = 0, signal } = options
    if (this.#hasNone || !this.#isWorth(usualMs)) return undefined
    const { far, actions } = this.#options
    let hasWaited = false
    try {
      const { fleetLeases } = await far.opened()
      if (fleetLeases === undefined) return undefined
      const turn = await fleetLeases.hold(scope, action, {
        ...options,
        signal: signal === undefined ? far.signal : AbortSignal.any([far.signal, signal]),
        onWait: (holder) => {
          hasWaited = true
          options.onWait?.(holder)
        },
      })
      // What was not there before they did it, may be now.
      if (hasWaited || turn.kind === 'ended') actions.forget(scope, action)
      return turn.kind === 'held' ? { kind: 'held', lease: this.#own(turn.lease, scope, action) } : turn
    } catch (error) {
      signal?.throwIfAborted()
      this.#hasNone ||= isCacheError(error) && NONE.has(error.code)
      return undefined
    }
  }

  /** When all are told that there is somebody to tell. */
  async settled(): Promise<void> {
    while (this.#ending.size > 0) await Promise.all(this.#ending)
  }

  #isWorth(usualMs: number): boolean {
    const { quickestMs = 0 } = this.#options.actions
    return usualMs >= Math.max(LEAST_WORK_MS, LEAST_ANSWERS * quickestMs)
  }

  #own(lease: FleetLease, scope: Scope, action: ActionDigest): WorkLease {
    // From now on, since it may be far before its end is told.
    const upload = this.#options.uploads.arriving(scope, action)
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
