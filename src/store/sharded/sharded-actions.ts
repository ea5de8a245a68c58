import { type ActionDigest, type Digest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../contracts.ts'
import { isWhole, namedBlobs } from '../named-blobs.ts'
import { readWhole } from '../read-whole.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { type BesideParts, besideOf, digestsOf, NOTHING_BESIDE } from './beside.ts'
import { InTurn } from './in-turn.ts'
import type { Patience } from './patience.ts'
import type { Repairs } from './repairs.ts'
import { nameOf } from './sharded-blobs.ts'
import { keptBlobs, keptBlobsAction, shardedAction, type Unwrapped, unwrapped, wrapped } from './sharded-result.ts'
import { askAll, type Shard, type ShardedParts, type Shards } from './shards.ts'

type Miss = Extract<ActionLookup, { readonly kind: 'miss' }>

/** Action results, each in the ends that have its action's hash, with its small blobs; complete by others that lie anywhere. */
export class ShardedActions implements ActionStore {
  readonly #shards: Shards
  readonly #repairs: Repairs
  readonly #patience: Patience
  readonly #blobs: BlobStore
  readonly #beside: BesideParts | undefined

  /** `beside`: undefined where blobs lie in no end of these. */
  constructor({ shards, repairs, patience }: ShardedParts, blobs: BlobStore, beside?: BesideParts) {
    this.#shards = shards
    this.#repairs = repairs
    this.#patience = patience
    this.#blobs = blobs
    this.#beside = beside
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
        const { result, encoded, beside } = found.value
        this.#beside?.homes.note(found.shard, beside)
        if (await this.#isWhole(scope, found.value, signal)) {
          this.#repair(scope, action, found.value, ends.lacking)
          return { kind: 'hit', result, encoded, resultDigest: digestOf(encoded), place: found.shard.name }
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
    const kept = { result, actionBytes: action.sizeBytes }
    const keep = (shard: Shard) => this.#keep(shard, scope, action, kept, signal)
    const [outcomes] = await Promise.all([
      askAll(this.#shards.of(action.hash), keep, signal),
      this.#nameOthers(scope, action, result, signal),
    ])
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

  /** By the word of its server what lies beside it is there. */
  async #isWhole(scope: Scope, { result, beside }: Unwrapped, signal: AbortSignal | undefined): Promise<boolean> {
    const named = await namedBlobs(result, (digest) => readWhole(this.#blobs, scope, digest, signal))
    if (named === undefined) return false
    const isThere = new Set(this.#beside === undefined ? [] : beside.map(nameOf))
    const others = named.digests.filter((digest) => !isThere.has(nameOf(digest)))
    return others.length === 0 || (await this.#blobs.missing(scope, others, signal)).length === 0
  }

  async #keep(
    { end }: Shard,
    scope: Scope,
    action: ActionDigest,
    { result, actionBytes }: Pick<Unwrapped, 'result' | 'actionBytes'>,
    signal: AbortSignal | undefined,
  ): Promise<PutOutcome> {
    const beside = this.#beside === undefined ? NOTHING_BESIDE : besideOf(result)
    const areThere = await this.#bring(end, scope, digestsOf(beside), signal)
    const outer = wrapped(result, actionBytes, areThere ? beside : NOTHING_BESIDE)
    return end.actions.put(scope, shardedAction(action), outer, signal)
  }

  /** Blobs that do not lie beside the result are named where they lie: a server gives up first what nobody names. */
  async #nameOthers(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<void> {
    if (this.#beside === undefined) return
    const named = await namedBlobs(result, (digest) => readWhole(this.#blobs, scope, digest, signal))
    const areBeside = new Set(digestsOf(besideOf(result)).map(nameOf))
    const others = new Map<Shard, Digest[]>()
    for (const digest of named?.digests ?? []) {
      if (areBeside.has(nameOf(digest))) continue
      for (const shard of this.#shards.of(digest.hash)) {
        const there = others.get(shard)
        if (there === undefined) others.set(shard, [digest])
        else there.push(digest)
      }
    }
    const name = ([{ end }, digests]: [Shard, Digest[]]) =>
      end.actions.put(scope, keptBlobsAction(action), keptBlobs(digests), signal)
    // One that could not be told keeps them for a while all the same.
    await Promise.allSettled([...others].map(name))
  }

  /** False where one cannot be had. */
  async #bring(end: RemoteEnd, scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<boolean> {
    if (digests.length === 0) return true
    const bring = async (digest: Digest) => {
      const bytes = this.#beside?.written.get(digest) ?? (await readWhole(this.#blobs, scope, digest, signal))
      if (bytes !== undefined) await end.blobs.write(scope, digest, bytes, signal)
      return bytes !== undefined
    }
    const missing = await end.blobs.missing(scope, digests, signal)
    return (await Promise.all(missing.map(bring))).every((isThere) => isThere)
  }

  #repair(
    scope: Scope,
    action: ActionDigest,
    kept: Pick<Unwrapped, 'result' | 'actionBytes'>,
    to: readonly Shard[],
  ): void {
    for (const shard of to) {
      const copy = (signal: AbortSignal) => this.#keep(shard, scope, action, kept, signal)
      this.#repairs.offer({ key: `${scope.instance} ${action.hash}`, to: shard, copy })
    }
  }
}
