import { type ActionDigest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../contracts.ts'
import { isWhole } from '../named-blobs.ts'
import type { Repairs } from './repairs.ts'
import { shardedAction, unwrapped, wrapped } from './sharded-result.ts'
import { askAll, Faults, type Shard, type Shards } from './shards.ts'

type Miss = Extract<ActionLookup, { readonly kind: 'miss' }>

/** Action results, each in the ends that have its action's hash; complete by blobs that lie anywhere. */
export class ShardedActions implements ActionStore {
  readonly #shards: Shards
  readonly #repairs: Repairs
  readonly #blobs: BlobStore

  constructor(shards: Shards, repairs: Repairs, blobs: BlobStore) {
    this.#shards = shards
    this.#repairs = repairs
    this.#blobs = blobs
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    signal?.throwIfAborted()
    const faults = new Faults(signal)
    const lacking: Shard[] = []
    let miss: Miss | undefined
    for (const shard of this.#shards.of(action.hash)) {
      try {
        const lookup = await this.#ask(shard, scope, action, signal)
        if (lookup.kind === 'hit') {
          this.#repair(scope, action, lookup.result, lookup.actionBytes, lacking)
          const { result, encoded } = lookup
          return { kind: 'hit', result, encoded, resultDigest: digestOf(encoded) }
        }
        lacking.push(shard)
        // A result that is there in part says more than that another end has none.
        if (miss === undefined || miss.why === 'absent') miss = lookup
      } catch (error) {
        faults.add(error)
      }
    }
    if (miss === undefined) throw faults.first
    return miss
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

  async #ask({ end }: Shard, scope: Scope, action: ActionDigest, signal: AbortSignal | undefined) {
    const lookup = await end.actions.get(scope, shardedAction(action), signal)
    if (lookup.kind === 'miss') return lookup
    const inner = unwrapped(lookup.result)
    if (inner === undefined) return { kind: 'miss', why: 'corrupt' } as const
    if (inner.actionBytes !== action.sizeBytes && action.sizeBytes !== UNKNOWN_BYTES)
      return { kind: 'miss', why: 'absent' } as const
    if (!(await isWhole(this.#blobs, scope, inner.result, signal))) return { kind: 'miss', why: 'incomplete' } as const
    return { kind: 'hit', ...inner } as const
  }

  #repair(scope: Scope, action: ActionDigest, result: ActionResult, actionBytes: number, to: readonly Shard[]): void {
    for (const shard of to) {
      const copy = (signal: AbortSignal) =>
        shard.end.actions.put(scope, shardedAction(action), wrapped(result, actionBytes), signal)
      this.#repairs.offer({ key: `${scope.instance} ${action.hash}`, to: shard, copy })
    }
  }
}
