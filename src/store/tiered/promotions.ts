import { type ActionDigest, type Digest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { BATCH_BLOB_BYTES, type Scope } from '../contracts.ts'
import { directDigests, isWhole, namedBlobs } from '../named-blobs.ts'
import { readWhole } from '../read-whole.ts'
import type { Downloads } from './downloads.ts'
import { type FarBlobs, groupsOf } from './far-blobs.ts'
import type { FarEnd } from './far-end.ts'
import type { NearTier } from './tiered.ts'
import type { Moved } from './transfers.ts'
import { Turns } from './turns.ts'

/** How many large blobs are on their way at once, and how many groups of small ones, whatever results they are for. */
const LARGE_AT_ONCE = 3
const GROUPS_AT_ONCE = 4
/** Of results of which only what is asked for is fetched. */
const MOST_ASKED = 1_000

export interface PromotionsOptions {
  readonly near: NearTier
  readonly far: FarEnd
  readonly downloads: Downloads
  readonly blobs: FarBlobs
  readonly fetch: 'all' | 'asked'
  readonly signal: AbortSignal
}

/** Makes results that were found far whole near: first their blobs, then they themselves. */
export class Promotions {
  readonly #options: PromotionsOptions
  readonly #underWay = new Map<string, Promise<Moved>>()
  /** Those that are being put near this moment. */
  readonly #putting = new Map<string, Promise<unknown>>()
  /** What this process put or removed itself: nothing that comes from far may take its place. */
  readonly #own = new Set<string>()
  /** May be whole by the time that the process ends. */
  readonly #asked = new Map<string, () => Promise<Moved>>()
  readonly #groups = new Turns(GROUPS_AT_ONCE)
  readonly #large = new Turns(LARGE_AT_ONCE)

  constructor(options: PromotionsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#underWay.size
  }

  /** Does not reject. Those that ask for the same at the same time share it. */
  promote(scope: Scope, action: ActionDigest, result: ActionResult, fetch = this.#options.fetch): Promise<Moved> {
    const key = promotionKey(scope, action)
    const known = this.#underWay.get(key)
    if (known !== undefined) return known
    if (fetch === 'asked' && this.#asked.size < MOST_ASKED)
      this.#asked.set(key, () => this.#promote(scope, action, result, fetch).catch(failed))
    const work = this.#promote(scope, action, result, fetch)
      // Near is in trouble, or the whole of it was left off; it says so where somebody asks it for something.
      .catch(failed)
      .finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, work)
    return work
  }

  /** From now on near says what it has for this action. Done when nothing of ours is on its way there. */
  async leaveToOwner(scope: Scope, action: ActionDigest): Promise<void> {
    const key = promotionKey(scope, action)
    const [oldest] = this.#own
    if (this.#own.size >= MOST_OWN && oldest !== undefined) this.#own.delete(oldest)
    this.#own.add(key)
    await this.#putting.get(key)
  }

  async settled(): Promise<void> {
    const asked = [...this.#asked.values()]
    this.#asked.clear()
    for (const promote of asked) await promote()
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values())
  }

  async #promote(scope: Scope, action: ActionDigest, result: ActionResult, fetch: 'all' | 'asked'): Promise<Moved> {
    if (action.sizeBytes === UNKNOWN_BYTES) return NOT_OURS
    const fetched = await (fetch === 'all' ? this.#fetchAll(scope, result) : this.#nearBlobs(scope, result))
    if (fetched.kind === 'done') await this.#put(scope, action, result)
    return fetched
  }

  /** The result's own blobs first, since its trees say what else is needed. */
  async #fetchAll(scope: Scope, result: ActionResult): Promise<Moved> {
    const { blobs, signal } = this.#options
    const direct = this.#fetchMissing(scope, directDigests(result))
    const named = await namedBlobs(result, (digest) => this.#readTree(blobs, scope, digest))
    const first = await direct
    if (first.kind !== 'done') return first
    signal.throwIfAborted()
    if (named === undefined) return { kind: 'gone' }
    const rest = await this.#fetchMissing(scope, named.digests)
    if (rest.kind !== 'done') return rest
    return { kind: 'done', blobs: first.blobs + rest.blobs, bytes: first.bytes + rest.bytes }
  }

  async #readTree(blobs: FarBlobs, scope: Scope, digest: Digest): Promise<Uint8Array | undefined> {
    const { near, signal } = this.#options
    return (await readWhole(near.blobs, scope, digest, signal)) ?? readWhole(blobs, scope, digest, signal)
  }

  async #fetchMissing(scope: Scope, digests: readonly Digest[]): Promise<Moved> {
    const { near, far, downloads, signal } = this.#options
    const missing = await near.blobs.missing(scope, digests, signal)
    const small = missing.filter(({ sizeBytes }) => sizeBytes <= BATCH_BLOB_BYTES)
    const large = missing.filter(({ sizeBytes }) => sizeBytes > BATCH_BLOB_BYTES)
    const groups = [...groupsOf(small)].map(({ group }) => group)
    const fetched = await Promise.all([
      this.#eachOf(scope, groups, this.#groups),
      this.#eachOf(
        scope,
        large.map((digest) => [digest]),
        this.#large,
      ),
    ])
    if (missing.some((digest) => downloads.isGone(scope, digest))) return { kind: 'gone' }
    if (fetched.includes(false)) return { kind: 'failed', error: far.fault }
    return { kind: 'done', blobs: missing.length, bytes: missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }
  }

  /** False as soon as one does not come: the rest is of no use without it, unless somebody reads it. */
  async #eachOf(scope: Scope, groups: readonly (readonly Digest[])[], turns: Turns): Promise<boolean> {
    const { downloads, signal } = this.#options
    let isWhole = true
    const fetch = async (group: readonly Digest[]) => {
      using _turn = await turns.next()
      if (signal.aborted || !downloads.isKeeping) isWhole = false
      if (!isWhole) return
      const kept = await Promise.all(downloads.start(scope, group).map((arriving) => arriving.kept))
      if (kept.includes(false)) isWhole = false
    }
    await Promise.all(groups.map(fetch))
    return isWhole
  }

  /** For those who fetch only what is asked for: whole once all of it has been. */
  async #nearBlobs(scope: Scope, result: ActionResult): Promise<Moved> {
    const { near, signal } = this.#options
    return (await isWhole(near.blobs, scope, result, signal)) ? { kind: 'done', blobs: 0, bytes: 0 } : NOT_OURS
  }

  async #put(scope: Scope, action: ActionDigest, result: ActionResult): Promise<void> {
    const { near, signal } = this.#options
    const key = promotionKey(scope, action)
    // Another process may have put one of its own meanwhile.
    if ((await near.actions.get(scope, action, signal)).kind === 'hit' || this.#own.has(key)) return
    const putting = near.actions.put(scope, action, result, signal)
    this.#putting.set(
      key,
      putting.catch(() => undefined),
    )
    try {
      await putting
    } finally {
      this.#putting.delete(key)
    }
  }
}

function failed(error: unknown): Moved {
  return { kind: 'failed', error }
}

/** Nothing was moved, and nothing went wrong. */
const NOT_OURS: Moved = { kind: 'failed', error: undefined }
const MOST_OWN = 100_000

function promotionKey({ instance }: Scope, { hash, sizeBytes }: ActionDigest): string {
  return `${hash}/${sizeBytes} ${instance}`
}
