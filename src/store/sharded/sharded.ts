import { CacheError } from '../../errors.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { Rendezvous } from './rendezvous.ts'
import { Repairs } from './repairs.ts'
import { ShardedActions } from './sharded-actions.ts'
import { ShardedBlobs } from './sharded-blobs.ts'
import { type Shard, Shards } from './shards.ts'

export interface ShardedEndsOptions {
  /** In how many ends each key is; 2 unless said, and never more than there are. */
  readonly replicas?: number
  /** Where a large blob lies while it goes to several ends; the system's own folder for such things unless said. */
  readonly tmpDir?: string
}

/**
 * Several ends as one: each blob and each result is in some of them, found by rendezvous hashing of their names, so everybody who gives
 * the same names and weights looks in the same places. A write is done when one end has taken it. An end with a fault counts as one that
 * has nothing, until all have one. What is found in a later end is copied to those before it, behind the caller's back. An end is not
 * asked for its patience here: put `guarded` around each. Owns all of them. Throws `usage`.
 */
export function sharded(ends: readonly Shard[], { replicas = 2, tmpDir }: ShardedEndsOptions = {}): RemoteEnd {
  refuseUnusable(ends, replicas)
  const shards = new Shards(ends, new Rendezvous(ends, replicas))
  const repairs = new Repairs()
  const blobs = new ShardedBlobs({ shards, repairs, tmpDir })
  return {
    blobs,
    actions: new ShardedActions(shards, repairs, blobs),
    actionsOver: (others) => new ShardedActions(shards, repairs, others),
    receivedBytes: () => ends.reduce((sum, { end }) => sum + (end.receivedBytes?.() ?? 0), 0),
    async [Symbol.asyncDispose]() {
      await using stack = new AsyncDisposableStack()
      for (const { end } of ends) stack.use(end)
      await repairs[Symbol.asyncDispose]()
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
