import type { RemoteEnd } from '../remote/remote-end.ts'
import type { BreakerMemory } from './breaker.ts'
import { breakerInMemory } from './breaker-file.ts'
import { type Clock, SYSTEM_CLOCK } from './clock.ts'
import { Guard } from './guard.ts'
import { GUARD_LIMITS, type GuardLimits } from './guard-limits.ts'
import { GuardedActions } from './guarded-actions.ts'
import { GuardedBlobs } from './guarded-blobs.ts'
import { guardedFetches, guardedFrames } from './guarded-frames.ts'
import { guardedLeases } from './guarded-leases.ts'
import { guardedNames } from './guarded-names.ts'
import { LookUps } from './look-up.ts'
import { OthersBlobs } from './others-blobs.ts'
import { Transfers } from './transfer.ts'

export interface GuardOptions {
  /** The end's name, for messages and events; no secret is in it. */
  readonly place: string
  /** What earlier processes have seen of it: `breakerFile`. Of this process alone unless given. */
  readonly memory?: BreakerMemory
  readonly limits?: Partial<GuardLimits>
  readonly clock?: Clock
}

/**
 * An end that costs no build more than a little time, whatever it does: it is asked within a deadline, again where that may help,
 * and left alone while it is of no use, in this process and those after it.
 *
 * Whatever fails is thrown as the end throws it; what took too long as `remote.timed-out`. While the end is left alone, **every call
 * throws at once** `remote.unreachable` with `context.isOpen`: a miss would be taken for knowledge, and a write that is dropped for
 * one that was kept. Whoever stands in front (`tiered`) takes each fault for "not there" and "not kept" alike.
 *
 * What happens is told on the channel `recue:remote`, see `guard-events.ts`. Nothing is asked, and the memory not looked at, before
 * the first call. Disposing of it gives up what is under way, and disposes of the end.
 */
export function guarded(end: RemoteEnd, options: GuardOptions): RemoteEnd {
  const { place, memory = breakerInMemory(), limits, clock = SYSTEM_CLOCK } = options
  const { blobs, actions, actionsOver, frames, fetches, names, fleetLeases, receivedBytes: received } = end
  const guard = new Guard({ place, memory, clock, limits: { ...GUARD_LIMITS, ...limits }, received })
  const parts = { guard, lookUps: new LookUps(guard), transfers: new Transfers(guard) }
  return {
    blobs: new GuardedBlobs(blobs, parts),
    actions: new GuardedActions(actions, parts),
    ...(actionsOver !== undefined && {
      actionsOver: (others) =>
        new GuardedActions(actionsOver(new OthersBlobs(others, (error) => guard.othersFailed(error))), parts),
    }),
    ...(frames !== undefined && { frames: guardedFrames(frames, blobs, parts) }),
    ...(fetches !== undefined && { fetches: guardedFetches(fetches, blobs, parts) }),
    ...(names !== undefined && { names: guardedNames(names, parts) }),
    ...(fleetLeases !== undefined && {
      fleetLeases: guardedLeases(fleetLeases, { actions, parts }),
    }),
    ...(received !== undefined && { receivedBytes: received }),
    async [Symbol.asyncDispose]() {
      guard[Symbol.dispose]()
      await end[Symbol.asyncDispose]()
    },
  }
}
