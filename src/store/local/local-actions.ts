import { type ActionDigest, type Digest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { sha256Hex } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { sameOutcome } from '../action-result-sameness.ts'
import type { ActionLookup, ActionStore, BlobStore, PutOutcome, Scope } from '../contracts.ts'
import { durationOf, type NamedBlobs, namedBlobs } from '../named-blobs.ts'
import { readWhole } from '../read-whole.ts'
import { putActionRow } from './apply-record.ts'
import type { Damage } from './damage.ts'
import type { IndexDb } from './index-db.ts'
import type { Journal } from './journal.ts'
import type { Layout } from './layout.ts'
import type { Marks } from './marks.ts'
import type { Presence } from './presence.ts'
import { actionKey, type CheckedActionRow, checkedActionRow, decodeActionRow } from './rows.ts'
import type { RecordPlace } from './segment.ts'

export interface LocalActionsOptions {
  readonly layout: Layout
  readonly index: IndexDb
  readonly journal: Journal
  readonly blobs: BlobStore
  readonly presence: Presence
  readonly marks: Marks
  readonly damage: Damage
  readonly readOnly: boolean
  /** Older results are `expired`; undefined: none are. */
  readonly ttlMs: number | undefined
  readonly now: () => number
  /** Told of each result that was put. */
  readonly onPut: () => void
}

/** The action results of the engine. A hit costs one row, unless blobs have gone since the result was last seen whole. */
export function localActions(options: LocalActionsOptions): ActionStore {
  return new LocalActions(options)
}

/** The row, and the index's generation in the same view. */
const GET = `SELECT value, touched, generation, (SELECT generation FROM state WHERE id=1) FROM actions WHERE key=?`
type Row = [value: Uint8Array, touchedMs: number, wholeAt: number, generation: number]

class LocalActions implements ActionStore {
  readonly #options: LocalActionsOptions

  constructor(options: LocalActionsOptions) {
    this.#options = options
  }

  async get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    signal?.throwIfAborted()
    const { index, marks, damage, ttlMs, now } = this.#options
    const key = actionKey(scope.instance, action.hash)
    const row = index.lookUp(() => index.sql(GET).get(key) as unknown as Row | undefined, undefined)
    if (row === undefined) return { kind: 'miss', why: index.isDamaged ? 'corrupt' : 'absent' }
    const [value, touchedMs, wholeAt, generation] = row
    const kept = checkedActionRow(key, value)
    if (kept === undefined) {
      damage.row('actions', key)
      return { kind: 'miss', why: 'corrupt' }
    }
    if (kept.actionBytes !== action.sizeBytes && action.sizeBytes !== UNKNOWN_BYTES)
      return { kind: 'miss', why: 'absent' }
    if (ttlMs !== undefined && now() - kept.createdMs > ttlMs && !(await this.#isPinned(scope, action)))
      return { kind: 'miss', why: 'expired' }
    const hit = new LocalHit(kept)
    const wasWhole = wholeAt === generation
    if (!wasWhole && !(await this.#isWhole(scope, hit.result, signal))) return { kind: 'miss', why: 'incomplete' }
    if (!wasWhole || marks.isDue(touchedMs)) this.#mark(key, generation)
    return hit
  }

  async #isPinned({ instance }: Scope, { hash }: ActionDigest): Promise<boolean> {
    const { isPinned, pinName } = await import('./pins.ts')
    return isPinned(this.#options.layout, pinName(instance, hash), this.#options.now())
  }

  async #isWhole(scope: Scope, result: ActionResult, signal?: AbortSignal): Promise<boolean> {
    const named = await this.#named(scope, result, signal)
    return named !== undefined && (await this.#options.blobs.missing(scope, named.digests, signal)).length === 0
  }

  #mark(key: Buffer, generation: number): void {
    if (!this.#options.readOnly) this.#options.marks.action(key, generation)
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    const { index, journal, presence, readOnly, onPut } = this.#options
    if (readOnly)
      throw new CacheError('store.read-only', 'The action result was not kept: the cache is open for reading only.')
    const named = await this.#named(scope, result, signal)
    if (named === undefined) throw incomplete(undefined)
    // First without the transaction, so that no record of a result that cannot be is written; what was there a moment ago
    // is likely to be.
    if (!named.digests.every((digest) => presence.has(digest))) {
      presence.refresh()
      refuseIncomplete(presence.firstMissing(named.digests))
    }
    const bytes = ActionResult.encode(result).finish()
    const facts = { resultHash: sha256Hex(bytes), durationMs: durationOf(result), contentBytes: named.contentBytes }
    const record = { kind: 'action', instance: scope.instance, action, result: bytes } as const
    const key = actionKey(scope.instance, action.hash)
    const outcome = await journal.commit([record], (places, { timeMs }): PutOutcome => {
      const generation = presence.refresh()
      refuseIncomplete(presence.firstMissing(named.digests))
      const before = this.#kept(key)
      putActionRow(index, { ...record, stampMs: timeMs }, places[0] as RecordPlace, generation, facts)
      return before === undefined ? 'new' : sameOutcome(before, result) ? 'same' : 'different'
    })
    onPut()
    return outcome
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    const { index, journal, readOnly } = this.#options
    if (readOnly) throw new CacheError('store.read-only', 'Nothing was removed: the cache is open for reading only.')
    const key = actionKey(scope.instance, action.hash)
    const isThere = index.lookUp(() => index.sql('SELECT 1 FROM actions WHERE key=?').get(key) !== undefined, false)
    if (!isThere) return false
    const record = { kind: 'action-removed', instance: scope.instance, action } as const
    return journal.commit([record], () => index.sql('DELETE FROM actions WHERE key=?').run(key) > 0)
  }

  #named(scope: Scope, result: ActionResult, signal?: AbortSignal): Promise<NamedBlobs | undefined> {
    return namedBlobs(result, (digest) => readWhole(this.#options.blobs, scope, digest, signal))
  }

  /** What is kept under the key; a damaged row is nothing, and about to be replaced. */
  #kept(key: Buffer): ActionResult | undefined {
    const row = this.#options.index.sql('SELECT value FROM actions WHERE key=?').get(key)
    const kept = row && decodeActionRow(key, row[0] as Uint8Array)
    return kept && ActionResult.decode(kept.result)
  }
}

/** Checked already; decoded when somebody reads it. */
class LocalHit {
  readonly kind = 'hit'
  readonly #row: CheckedActionRow
  #encoded: Uint8Array | undefined
  #result: ActionResult | undefined

  constructor(row: CheckedActionRow) {
    this.#row = row
  }

  get result(): ActionResult {
    this.#result ??= ActionResult.decode(this.encoded)
    return this.#result
  }

  get encoded(): Uint8Array {
    this.#encoded ??= this.#row.result
    return this.#encoded
  }

  get resultDigest(): Digest {
    return this.#row.resultDigest
  }
}

function refuseIncomplete(missing: Digest | undefined): void {
  if (missing !== undefined) throw incomplete(missing.hash)
}

function incomplete(hash: string | undefined): CacheError {
  const what = hash === undefined ? 'a tree that it names' : `blob ${hash}`
  return new CacheError('store.incomplete', `The action result was not kept: ${what} is not in the store.`, {
    context: hash === undefined ? {} : { hash },
  })
}
