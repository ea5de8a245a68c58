import { CacheError } from '../../errors.ts'
import { type Clock, SYSTEM_CLOCK } from '../guarded/clock.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { Homes } from './homes.ts'
import { Patience } from './patience.ts'
import { Rendezvous } from './rendezvous.ts'
import { Repairs } from './repairs.ts'
import { ShardedActions } from './sharded-actions.ts'
import { ShardedBlobs } from './sharded-blobs.ts'
import { ShardedFetches } from './sharded-fetches.ts'
import { ShardedFrames } from './sharded-frames.ts'
import { ShardedLeases } from './sharded-leases.ts'
import { ShardedNames } from './sharded-names.ts'
import { type Shard, Shards } from './shards.ts'
import { WrittenBlobs } from './written-blobs.ts'

export interface ShardedEndsOptions {
  /** In how many ends each key is; 2 unless said, and never more than there are. */
  readonly replicas?: number
  /** Where a large blob lies while it goes to several ends; the system's own folder for such things unless said. */
  readonly tmpDir?: string
  readonly clock?: Clock
}

/**
 * Several ends as one: each blob and each result is in some of them, found by rendezvous hashing of their names, so everybody who gives
 * the same names and weights looks in the same places. A write is done when one end has taken it. An end with a fault counts as one that
 * has nothing, until all have one; of one that takes longer than nearly all answers do the next is asked as well. What is found in a
 * later end is copied to those before it, behind the caller's back. How long an end may take at all is not said here: put `guarded`
 * around each. Small blobs of a result lie in its ends, too, so that a hit
 * asks one end. Frames and the like are there where all ends have them. Owns all of them. Throws `usage`.
 */
export function sharded(ends: readonly Shard[], options: ShardedEndsOptions = {}): RemoteEnd {
  const { replicas = 2, tmpDir, clock = SYSTEM_CLOCK } = options
  refuseUnusable(ends, replicas)
  const patience = new Patience(clock)
  const repairs = new Repairs(clock)
  const shards = new Shards(ends, new Rendezvous(ends, replicas))
  const beside = { homes: new Homes(), written: new WrittenBlobs() }
  const parts = { shards, repairs, patience, beside, tmpDir }
  const blobs = new ShardedBlobs(parts)
  const allHave = (member: keyof RemoteEnd) => ends.every(({ end }) => end[member] !== undefined)
  return {
    blobs,
    actions: new ShardedActions(parts, blobs, beside),
    actionsOver: (others) => new ShardedActions(parts, others),
    ...(allHave('frames') && { frames: new ShardedFrames(parts) }),
    ...(allHave('fetches') && { fetches: new ShardedFetches(blobs) }),
    ...(allHave('names') && { names: new ShardedNames(parts) }),
    ...(allHave('fleetLeases') && { fleetLeases: new ShardedLeases(shards) }),
    receivedBytes: () => ends.reduce((sum, { end }) => sum + (end.receivedBytes?.() ?? 0), 0),
    async [Symbol.asyncDispose]() {
      await using stack = new AsyncDisposableStack()
      for (const { end } of ends) stack.use(end)
      stack.use(patience)
      // They ask by it.
      stack.use(repairs)
    },
  }
}

function refuseUnusable(ends: readonly Shard[], replicas: number): void {
  const names = new Set(ends.map(({ name }) => name))
  const isWrong =
    ends.length === 0 ||
    names.size < ends.length ||
    names.has('') ||
    ends.some(({ weight }) => !(weight > 0 && weight < Number.POSITIVE_INFINITY)) ||
    !(Number.isSafeInteger(replicas) && replicas > 0)
  if (!isWrong) return
  throw new CacheError('usage', 'Sharding takes one end or more, each with a name of its own and a weight above 0.', {
    hint: 'A name says who an end is: keep it when the address changes. Replicas are 1 or more.',
  })
}
