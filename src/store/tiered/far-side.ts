import { setMaxListeners } from 'node:events'
import type { ActionDigest } from '../../digest/digest.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { ActionLookup, PutOutcome, Scope } from '../contracts.ts'
import { abortable } from '../remote/waiting.ts'
import { Downloads } from './downloads.ts'
import { FarActions } from './far-actions.ts'
import { FarBlobs } from './far-blobs.ts'
import { FarEnd } from './far-end.ts'
import { FleetTurns } from './fleet-turns.ts'
import { FleetUsual } from './fleet-usual.ts'
import { HitOdds } from './hit-odds.ts'
import { Promotions } from './promotions.ts'
import type { FarTier, Left, NearTier, SavesMs, TieredOptions, TransferReport, WorkTurn } from './tiered.ts'
import { type Moved, moveEach } from './transfers.ts'
import { UploadRecords } from './upload-records.ts'
import { uploadResult } from './upload-result.ts'
import { Uploads } from './uploads.ts'

/** What a hit near does not need. Opens the far end when it is first asked for something. */
export function farSide(near: NearTier, openFar: () => Promise<FarTier>, options: TieredOptions): FarSide {
  return new FarSide(near, openFar, options)
}

export class FarSide implements AsyncDisposable {
  readonly blobs: FarBlobs
  readonly #near: NearTier
  readonly #far: FarEnd
  readonly #writes: boolean
  readonly #isDenied: () => Promise<boolean>
  readonly #downloads: Downloads
  readonly #promotions: Promotions
  readonly #odds: HitOdds
  readonly #actions: FarActions
  readonly #records: UploadRecords
  readonly #uploads: Uploads
  readonly #turns: FleetTurns
  readonly #usual: FleetUsual
  readonly #sending = new Map<string, Promise<void>>()
  readonly #left = new AbortController()

  constructor(near: NearTier, openFar: () => Promise<FarTier>, options: TieredOptions) {
    const { place, fetch = 'all', write = true, isDenied = async () => false, now = Date.now } = options
    const { signal } = this.#left
    // All that moves listens to it; some versions of Node take more than ten for a leak, and print so.
    setMaxListeners(0, signal)
    const far = new FarEnd(place, openFar, signal)
    const downloads = new Downloads(near, far, now)
    this.#near = near
    this.#far = far
    this.#writes = write
    this.#isDenied = isDenied
    this.#downloads = downloads
    this.blobs = new FarBlobs(near, far, downloads)
    this.#promotions = new Promotions({ near, far, downloads, blobs: this.blobs, fetch, signal })
    this.#odds = new HitOdds(near.records, place)
    this.#actions = new FarActions({ far, promotions: this.#promotions, odds: this.#odds, now })
    this.#records = new UploadRecords(near.records, place, now)
    this.#uploads = new Uploads({ near, far, sending: this.#sending, records: this.#records, now })
    this.#usual = new FleetUsual(far)
    this.#turns = new FleetTurns({ far, actions: this.#actions, uploads: this.#uploads })
  }

  get(
    scope: Scope,
    action: ActionDigest,
    miss: Extract<ActionLookup, { kind: 'miss' }>,
    waiting?: { readonly signal?: AbortSignal | undefined; readonly savesMs?: SavesMs | undefined },
  ): Promise<ActionLookup> {
    return this.#actions.get(scope, action, miss, waiting)
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    await this.#promotions.leaveToOwner(scope, action)
    this.#actions.forget(scope, action)
    if (!this.#writes || (await this.#isDenied())) return this.#near.actions.put(scope, action, result, signal)
    const upload = await this.#uploads.announce(scope, action)
    try {
      const outcome = await this.#near.actions.put(scope, action, result, signal)
      if (upload !== undefined) await this.#uploads.begin(upload)
      else this.#uploads.tell({ scope, action }, false)
      return outcome
    } catch (error) {
      if (upload !== undefined) await this.#uploads.cancel(upload)
      throw error
    }
  }

  async hold(...[scope, action, options]: Parameters<FleetTurns['hold']>): Promise<WorkTurn | undefined> {
    // Who cannot share what comes of it, is not to be waited for.
    return (await this.#isDenied()) ? undefined : this.#turns.hold(scope, action, options)
  }

  usualMs(scope: Scope, thing: string): number | undefined {
    return this.#usual.of(scope, thing)
  }

  /** Far as well, where it can: it would come back. */
  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    await this.#promotions.leaveToOwner(scope, action)
    this.#actions.forget(scope, action)
    await this.#uploads.forget(scope, action)
    const wasNear = await this.#near.actions.remove(scope, action)
    if (!this.#writes) return wasNear
    const wasFar = await this.#far.attempt('removal', ({ actions }) => actions.remove(scope, action))
    return wasNear || wasFar === true
  }

  /** Whether a blob that is on its way has come. */
  arrived(...[scope, digest, signal]: Parameters<FarBlobs['arrived']>): Promise<boolean> {
    return this.blobs.arrived(scope, digest, signal)
  }

  async flush(budgetMs: number, signal?: AbortSignal): Promise<Left> {
    await this.resume()
    const over = Promise.withResolvers<void>()
    const timer = setTimeout(over.resolve, budgetMs)
    const moved = Promise.all([
      this.#promotions.settled(),
      this.#downloads.settled(),
      this.#uploads.settled().then(() => this.#turns.settled()),
    ])
    try {
      await abortable(Promise.race([moved, over.promise]), signal)
    } catch {
      // Aborted: what is left is left.
    } finally {
      clearTimeout(timer)
    }
    return this.pending()
  }

  async pending(): Promise<Left> {
    return { uploads: this.#writes ? this.#records.count() : 0, downloads: this.#promotions.count }
  }

  async resume(): Promise<void> {
    if (this.#writes && !(await this.#isDenied())) await this.#uploads.resume()
  }

  push(scope: Scope, actions: readonly ActionDigest[], signal?: AbortSignal): Promise<TransferReport> {
    const parts = { near: this.#near, far: this.#far, sending: this.#sending }
    return moveEach(actions, (action) => uploadResult(parts, scope, action), signal)
  }

  pull(scope: Scope, actions: readonly ActionDigest[], signal?: AbortSignal): Promise<TransferReport> {
    return moveEach(actions, (action) => this.#pull(scope, action), signal)
  }

  async #pull(scope: Scope, action: ActionDigest): Promise<Moved> {
    const isHere = (await this.#near.actions.get(scope, action)).kind === 'hit'
    return isHere ? { kind: 'done', blobs: 0, bytes: 0 } : this.#actions.pull(scope, action)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#actions.leave()
    this.#left.abort()
    this.#uploads.leave()
    await this.#turns.settled()
    await this.#odds.save()
    await Promise.all([this.#promotions.settled(), this.#downloads.settled(), this.#uploads.settled()])
  }
}
