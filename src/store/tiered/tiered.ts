import type { ActionDigest, Digest } from '../../digest/digest.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type {
  ActionLookup,
  ActionStore,
  BatchEntry,
  BlobFiles,
  BlobStore,
  Bytes,
  Frames,
  Ingest,
  Leases,
  OpenBytes,
  PlaceOptions,
  PutOutcome,
  ReadOptions,
  Scope,
  WorkspaceRecords,
} from '../contracts.ts'
import type { FleetHoldOptions, FleetLeases, FleetTurn } from '../fleet-leases.ts'
import type { Fetches } from '../remote/remote-end.ts'
import type { FarSide } from './far-side.ts'

/** The store on this machine, or another one that is quick to ask. */
export interface NearTier {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  /** Where is written down what is still to be uploaded. */
  readonly records: WorkspaceRecords
  /** By which no two processes upload the same. */
  readonly leases: Leases
  readonly files?: BlobFiles
  readonly frames?: Frames
}

/** A remote end, or tiers again. */
export interface FarTier {
  readonly blobs: BlobStore
  readonly actions: ActionStore
  readonly frames?: Frames
  readonly fetches?: Fetches
  readonly fleetLeases?: FleetLeases
}

/** As {@link FleetTurn}, for work whose result is put near and goes far from there. */
export type WorkTurn =
  | { readonly kind: 'held'; readonly lease: WorkLease }
  | Extract<FleetTurn, { readonly kind: 'ended' }>

export interface WorkHoldOptions extends FleetHoldOptions {
  /** How long it is likely to take where `usualMs` is not known, in milliseconds. */
  readonly likelyMs?: number
}

/** Disposed of before its end is told, the work is for one of those who wait. */
export interface WorkLease extends AsyncDisposable {
  /** `kept`: it was put, and those who wait hear of it once it is far. `found`: it is far already. Does not wait, `flush` does. */
  end(how: 'kept' | 'found' | 'nothing'): void
}

/** How long the work takes as a rule that a hit saves, in milliseconds. Asked for when near has nothing. */
export type SavesMs = () => Promise<number>

export interface TieredOptions {
  /** The far end's name, for people and for what is still to be uploaded to it; the same in every process, and no secret. */
  readonly place: string
  /** False: nothing is looked up or read far. */
  readonly read?: boolean
  /** False: nothing is uploaded or removed far. */
  readonly write?: boolean
  /**
   * `all`: a result that is found far is fetched with all its blobs, and is near from then on. `asked`: of its blobs only those
   * are fetched that somebody reads; it is near once all of them are.
   */
  readonly fetch?: 'all' | 'asked'
  /** Whether it is known that the far end takes nothing from us just now: then nothing is noted down to be uploaded, and nothing sent. */
  readonly isDenied?: () => Promise<boolean>
  /** Unix milliseconds. */
  readonly now?: () => number
}

/** What a process that ends now leaves to others. */
export interface Left {
  /** Results that are still to be uploaded, those of earlier processes included. */
  readonly uploads: number
  /** Results whose blobs are still on their way here; who asks for them next fetches what is missing. */
  readonly downloads: number
}

/** What came of moving a selection of results. */
export interface TransferReport {
  /** Results that are now at the other end, those that were there already included. */
  readonly actions: number
  readonly blobs: number
  /** Content bytes of the blobs that were moved. */
  readonly bytes: number
  /** Those that are kept nowhere where they were looked for, or not whole. */
  readonly absent: readonly ActionDigest[]
  readonly failed: readonly { readonly action: ActionDigest; readonly error: unknown }[]
}

/** Dispose of it before the tiers, which stay open: what moves is left off. What is to be uploaded is written down by then. */
export interface TieredStore extends AsyncDisposable {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  readonly files: BlobFiles | undefined
  /**
   * The same action results, for work that takes so long: far is waited for no longer than its answer is worth, by what it had of
   * late. Then the look-up is a miss, and goes on for who asks later.
   */
  actionsFor(savesMs: SavesMs): ActionStore
  /**
   * Whose turn it is to do work that other machines may be at, too. Undefined where nobody can say, and where the work is too short
   * to ask. Rejects only when aborted.
   */
  hold(scope: Scope, action: ActionDigest, options: WorkHoldOptions): Promise<WorkTurn | undefined>
  /**
   * How long others take as a rule for what was never done here, in milliseconds, as far as the far end has said so by now. It is
   * asked in the background.
   */
  usualMs(scope: Scope, thing: string): number | undefined
  /**
   * Waits until nothing moves any more, for `budgetMs` at most; does not throw. Nothing to wait for where all was found near
   * and nothing was put.
   */
  flush(budgetMs: number, signal?: AbortSignal): Promise<Left>
  pending(): Promise<Left>
  /** Takes up what earlier processes had no time to upload; the first put does so, too. `flush` waits for it. */
  resume(): Promise<void>
  /** Uploads results that are kept near. Rejects only when aborted. */
  push(scope: Scope, actions: readonly ActionDigest[], signal?: AbortSignal): Promise<TransferReport>
  /** Fetches results that are kept far, with all their blobs. Rejects only when aborted. */
  pull(scope: Scope, actions: readonly ActionDigest[], signal?: AbortSignal): Promise<TransferReport>
}

/**
 * Two stores as one. Reads ask `near` first; what is found far is kept near, while it is read. Writes are done when they are
 * done near, and are uploaded in the background: blobs first, then the result. What could not be uploaded before the process
 * ended is written down, and taken up by the next one that puts something. A far end that fails is as one that has nothing:
 * no call throws for it. A hit near costs what it costs there, and loads nothing. `openFar` is called once, by the first
 * need; more levels are more of these.
 *
 * `missing` speaks of near alone, since there the blobs of a result must be when it is put.
 */
export function tiered(near: NearTier, openFar: () => Promise<FarTier>, options: TieredOptions): TieredStore {
  return new NearFirst(near, openFar, options)
}

/** The near half. The far one is loaded when near has not what was asked for, or something is put. */
class NearFirst implements TieredStore, ActionStore {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore = this
  readonly files: BlobFiles | undefined
  readonly #near: NearTier
  readonly #openFar: () => Promise<FarTier>
  readonly #options: TieredOptions
  #loading: Promise<FarSide> | undefined
  #side: FarSide | undefined

  constructor(near: NearTier, openFar: () => Promise<FarTier>, options: TieredOptions) {
    this.#near = near
    this.#openFar = openFar
    this.#options = options
    const { read = true } = options
    const load = () => this.#load()
    this.blobs = read ? new NearBlobs(near.blobs, load) : near.blobs
    this.files = near.files && (read ? arrivingFiles(near.files, () => this.#loading) : near.files)
  }

  get(scope: Scope, action: ActionDigest, signal?: AbortSignal): Promise<ActionLookup> {
    return this.#get(scope, action, signal)
  }

  actionsFor(savesMs: SavesMs): ActionStore {
    return {
      get: (scope, action, signal) => this.#get(scope, action, signal, savesMs),
      put: (...asked) => this.put(...asked),
      remove: (...asked) => this.remove(...asked),
    }
  }

  async hold(scope: Scope, action: ActionDigest, options: WorkHoldOptions): Promise<WorkTurn | undefined> {
    const { read, write } = this.#options
    return read === false || write === false ? undefined : (await this.#load()).hold(scope, action, options)
  }

  usualMs(scope: Scope, thing: string): number | undefined {
    if (this.#options.read === false) return undefined
    if (this.#side !== undefined) return this.#side.usualMs(scope, thing)
    void this.#load().then((side) => side.usualMs(scope, thing))
    return undefined
  }

  async #get(
    scope: Scope,
    action: ActionDigest,
    signal: AbortSignal | undefined,
    savesMs?: SavesMs,
  ): Promise<ActionLookup> {
    const found = await this.#near.actions.get(scope, action, signal)
    // Who lets results grow too old wants the work to be done again.
    if (found.kind === 'hit' || found.why === 'expired' || this.#options.read === false) return found
    return (await this.#load()).get(scope, action, found, { signal, savesMs })
  }

  async put(scope: Scope, action: ActionDigest, result: ActionResult, signal?: AbortSignal): Promise<PutOutcome> {
    return (await this.#load()).put(scope, action, result, signal)
  }

  async remove(scope: Scope, action: ActionDigest): Promise<boolean> {
    return (await this.#load()).remove(scope, action)
  }

  async flush(budgetMs: number, signal?: AbortSignal): Promise<Left> {
    return this.#loading === undefined ? NOTHING : (await this.#loading).flush(budgetMs, signal)
  }

  async pending(): Promise<Left> {
    return (await this.#load()).pending()
  }

  async resume(): Promise<void> {
    return (await this.#load()).resume()
  }

  async push(scope: Scope, actions: readonly ActionDigest[], signal?: AbortSignal): Promise<TransferReport> {
    return (await this.#load()).push(scope, actions, signal)
  }

  async pull(scope: Scope, actions: readonly ActionDigest[], signal?: AbortSignal): Promise<TransferReport> {
    return (await this.#load()).pull(scope, actions, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#loading)?.[Symbol.asyncDispose]()
  }

  #load(): Promise<FarSide> {
    this.#loading ??= import('./far-side.ts').then(({ farSide }) => {
      this.#side = farSide(this.#near, this.#openFar, this.#options)
      return this.#side
    })
    return this.#loading
  }
}

const NOTHING: Left = { uploads: 0, downloads: 0 }

class NearBlobs implements BlobStore, Ingest {
  readonly #near: BlobStore & Ingest
  readonly #far: () => Promise<FarSide>

  constructor(near: BlobStore & Ingest, far: () => Promise<FarSide>) {
    this.#near = near
    this.#far = far
  }

  missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    return this.#near.missing(scope, digests, signal)
  }

  write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    return this.#near.write(scope, digest, bytes, signal)
  }

  ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return this.#near.ingest(scope, bytes, signal)
  }

  async read(scope: Scope, digest: Digest, options?: ReadOptions): Promise<OpenBytes | undefined> {
    const found = await this.#near.read(scope, digest, options)
    return found ?? (await this.#far()).blobs.read(scope, digest, options)
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const others: number[] = []
    for await (const entry of this.#near.readBatch(scope, digests, signal)) {
      if (entry.bytes === undefined) others.push(entry.index)
      else yield entry
    }
    if (others.length === 0) return
    const asked = others.map((index) => digests[index] as Digest)
    for await (const { index, bytes } of (await this.#far()).blobs.readBatch(scope, asked, signal))
      yield { index: others[index] as number, bytes }
  }
}

/** A large blob that is on its way is waited for, so that the workspace can share its bytes. */
function arrivingFiles(files: BlobFiles, far: () => Promise<FarSide> | undefined): BlobFiles {
  return {
    async place(scope: Scope, digest: Digest, path: string, options: PlaceOptions) {
      const placed = await files.place(scope, digest, path, options)
      if (placed !== undefined) return placed
      const isHere = await (await far())?.arrived(scope, digest, options.signal)
      return isHere === true ? files.place(scope, digest, path, options) : undefined
    },
    ingestFile: (...asked) => files.ingestFile(...asked),
  }
}
