import { type ActionDigest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../contracts.ts'
import { isWhole } from '../named-blobs.ts'
import { InTurn } from './in-turn.ts'
import type { Patience } from './patience.ts'
import type { Repairs } from './repairs.ts'
import { shardedAction, type Unwrapped, unwrapped, wrapped } from './sharded-result.ts'
import { askAll, type Shard, type ShardedParts, type Shards } from './shards.ts'

type Miss = Extract<ActionLookup, { readonly kind: 'miss' }>

/** Action results, each in the ends that have its action's hash; complete by blobs that lie anywhere. */
export class ShardedActions implements ActionStore {
  readonly #shards: Shards
  readonly #repairs: Repairs
  readonly #patience: Patience
  readonly #blobs: BlobStore

  constructor({ shards, repairs, patience }: ShardedParts, blobs: BlobStore) {
    this.#shards = shards
    this.#repairs = repairs
    this.#patience = patience
    this.#blobs = blobs
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    let miss: Miss | undefined
    const ends = new InTurn(this.#shards.of(action.hash), {
      ...{ patience: this.#patience, kind: 'look-up', signal },
      ask: async (shard, within) => {
        const found = await this.#ask(shard, scope, action, within)
        if ('actionBytes' in found) return found
        // A result that is there in part says more than that another end has none.
        if (miss === undefined || miss.why === 'absent') miss = found
        return undefined
      },
    })
    try {
      for (let found = await ends.next(); found !== undefined; found = await ends.next()) {
        const { result, encoded, actionBytes } = found.value
        if (await isWhole(this.#blobs, scope, result, signal)) {
          this.#repair(scope, action, result, actionBytes, ends.lacking)
          return { kind: 'hit', result, encoded, resultDigest: digestOf(encoded) }
        }
        miss = { kind: 'miss', why: 'incomplete' }
        ends.lacks(found.shard)
      }
    } finally {
      ends.over()
    }
    return miss ?? { kind: 'miss', why: 'absent' }
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    signal?.throwIfAborted()
    if (!(await isWhole(this.#blobs, scope, result, signal)))
      throw new CacheError('store.incomplete', 'The action result was not kept: a blob that it names is on no server.')
    const outer = wrapped(result, action.sizeBytes)
    const put = ({ end }: Shard) => end.actions.put(scope, shardedAction(action), outer, signal)
    const outcomes = await askAll(this.#shards.of(action.hash), put, signal)
    if (outcomes.includes('different')) return 'different'
    return outcomes.includes('same') ? 'same' : 'new'
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    const remove = ({ end }: Shard) => end.actions.remove(scope, shardedAction(action))
    return (await askAll(this.#shards.of(action.hash), remove, undefined)).includes(true)
  }

  async #ask({ end }: Shard, scope: Scope, action: ActionDigest, signal: AbortSignal): Promise<Unwrapped | Miss> {
    const lookup = await end.actions.get(scope, shardedAction(action), signal)
    if (lookup.kind === 'miss') return lookup
    const inner = unwrapped(lookup.result)
    if (inner === undefined) return { kind: 'miss', why: 'corrupt' }
    const isAnother = inner.actionBytes !== action.sizeBytes && action.sizeBytes !== UNKNOWN_BYTES
    return isAnother ? { kind: 'miss', why: 'absent' } : inner
  }

  #repair(scope: Scope, action: ActionDigest, result: ActionResult, actionBytes: number, to: readonly Shard[]): void {
    for (const shard of to) {
      const copy = (signal: AbortSignal) =>
        shard.end.actions.put(scope, shardedAction(action), wrapped(result, actionBytes), signal)
      this.#repairs.offer({ key: `${scope.instance} ${action.hash}`, to: shard, copy })
    }
  }
}
