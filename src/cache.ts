import { basename, join, resolve } from 'node:path'
import type { ActionDescription } from './action/describe-action.ts'
import { keyOf } from './action/key/key.ts'
import type { Keyed } from './action/key/keyed-action.ts'
import type { ActionRequest } from './action/request.ts'
import { runAction } from './action/run/run-action.ts'
import type { Engine } from './action/run/run-action-active.ts'
import type { FunctionOutcome, FunctionWork } from './action/run/run-function.ts'
import type { WorkspaceState } from './action/run/workspace-state.ts'
import type { RunNotice, RunOptions, RunOutcome } from './action/run-outcome.ts'
import type { ActionDigest } from './digest/digest.ts'
import { CacheError } from './errors.ts'
import { type Memoized, type MemoizeOptions, memoized } from './memoize.ts'
import { type Ledger, openLedger } from './observe/ledger.ts'
import { runRecordOf } from './observe/run-record.ts'
import type { CacheStats } from './observe/stats.ts'
import type { Usual, UsualRuns } from './observe/usual-runs.ts'
import type { ActionResult } from './proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { RemoteCacheOptions, RemoteTiers } from './remote-tiers.ts'
import type { CachedStore } from './store/cached/cached-store.ts'
import type {
  ActionLookup,
  ActionStore,
  BlobNames,
  BlobStore,
  Catalog,
  CollectOptions,
  CollectReport,
  Frames,
  Ingest,
  Leases,
  PutOutcome,
  WorkspaceRecords,
} from './store/contracts.ts'
import { DEFAULT_SCOPE } from './store/contracts.ts'
import { defaultCacheDir } from './store/local/cache-dir.ts'
import { hearCorruption } from './store/local/corrupt.ts'
import { type LocalStore, type LocalStoreOptions, openLocalStore } from './store/local/local-store.ts'
import type { TieredStore } from './store/tiered/tiered.ts'
import { parseDuration } from './units/duration.ts'
import { parseSize } from './units/size.ts'

/** Sizes are bytes or as people write them (`2GiB`), durations milliseconds or `7d`. */
export interface CacheOptions {
  /** Made when it is missing. Unless said: `RECUE_CACHE_DIR`, else where the platform keeps caches. */
  readonly cacheDir?: string
  /** Everything under the folder. Unless said: 20 GiB or a tenth of the file system, the smaller. */
  readonly maxCacheSize?: number | string
  /** Blobs alone. */
  readonly maxCasSize?: number | string
  /** How many results. */
  readonly maxEntries?: number
  /** What has to stay free on the file system, whoever fills it: the cache makes room. */
  readonly minFreeSpace?: number | string
  /** Which results leave first: see `docs/how-it-works.md`. */
  readonly evictionPolicy?: 'gdsf' | 'lfu-da' | 'lru'
  /** Blobs up to this size are kept in the index itself. */
  readonly casInlineThreshold?: number | string
  /** Results that were kept longer ago are as none. */
  readonly ttl?: number | string
  /** A zstd level, or `auto`: by what is measured. */
  readonly compression?: 'auto' | 'off' | number
  /** `fastcdc`: files of more than 1 MiB are kept in chunks, which their versions share. */
  readonly chunking?: 'off' | 'fastcdc'
  /** Files of more than 1 MiB are restored as hard links to those of the store: read-only, one for all who have them. */
  readonly hardLink?: boolean
  /** `full`: what was kept survives a power cut. `fast`: the last moments may be lost, never consistency. */
  readonly durability?: 'fast' | 'full'
  readonly readOnly?: boolean
  /** False: what is looked up does not count as used, and leaves when it would have left. For those who only look around. */
  readonly countsUses?: boolean
  /**
   * What this process may keep in memory of what was asked for lately: an eighth of what it may have, 256 MiB at most,
   * unless said; it is given back when memory runs short. 0: nothing. Results from memory are shared: leave them as they are.
   */
  readonly maxMemory?: number | string
  /** A cache on another machine: what is not here is looked for there, and what is kept here is sent there. Not with `readOnly`. */
  readonly remote?: string | RemoteCacheOptions
}

/** How a run is done, and what people call it. */
export interface CacheRunOptions extends Partial<RunOptions> {
  /** The task's name: runs of one task are compared with each other. */
  readonly task?: string
  /** Another remote cache than that of the cache, or none. */
  readonly remote?: RemoteCacheOptions | undefined
}

/** The one interface of recue: remembers the result of work, and replays it when the same work is asked for again. */
export interface Cache extends AsyncDisposable {
  /** The cache folder, absolute. */
  readonly dir: string
  /** What is kept is used, and nothing is kept or removed. */
  readonly readOnly: boolean
  /** The name of an action. Throws a `CacheError` for a user's mistake; what cannot be named safely is a value. */
  key(action: ActionDescription | ActionRequest): Promise<Keyed>
  /** What is kept under a key. Touches nothing in the workspace. */
  get(key: ActionDigest): Promise<ActionLookup>
  /** Keeps a result; all blobs it names must be there (`store.incomplete`). */
  save(key: ActionDigest, result: ActionResult): Promise<PutOutcome>
  /** As the other `run`, for work done by a function of this process instead of a command; its value is kept as JSON. */
  run<T>(work: FunctionWork<T>, options?: CacheRunOptions): Promise<FunctionOutcome<T>>
  /**
   * Runs a command, or restores and replays what it did when it last ran on the same inputs. Its output goes to
   * `options.sink`; unless one is given, nowhere. Throws for a user's mistake and for a command that cannot be started.
   */
  run(action: ActionDescription | ActionRequest, options?: CacheRunOptions): Promise<RunOutcome>
  /** A function whose results are kept by name and arguments: `const slow = cache.memoize('slow', async (n) => …)`. */
  memoize<A extends readonly unknown[], R>(
    name: string,
    fn: (...args: A) => Promise<R> | R,
    options?: MemoizeOptions,
  ): Memoized<A, R>
  stats(options?: { readonly sinceMs?: number }): Promise<CacheStats>
  /** Collects what is over the quota, or down to `targetBytes`. */
  gc(options?: CollectOptions): Promise<CollectReport>
  /** Waits for the runs under way, then closes the store. Closing twice is fine. */
  close(): Promise<void>
  readonly blobs: BlobStore & Ingest
  readonly frames: Frames
  readonly names: BlobNames
  readonly actions: ActionStore
  readonly catalog: Catalog
  readonly records: WorkspaceRecords
  readonly leases: Leases
  readonly ledger: Ledger
}

/** Opens the cache folder, shared with any number of other processes. Throws `store.unusable` and `store.newer-format`. */
export async function openCache(options: CacheOptions = {}): Promise<Cache> {
  const dir = resolve(options.cacheDir ?? defaultCacheDir(process.env, process.platform))
  const memoryBytes = options.maxMemory === undefined ? undefined : bytesOf('maxMemory', options.maxMemory)
  const store = await openLocalStore({ ...storeOptions(dir, options), remembersPacks: memoryBytes !== 0 })
  const cache = new LocalCache(store, await memoryTier(store, memoryBytes), options.readOnly ?? false)
  const { remote } = options
  if (remote !== undefined) await cache.useRemote(typeof remote === 'string' ? { address: remote } : remote)
  return cache
}

async function memoryTier(store: LocalStore, memoryBytes: number | undefined): Promise<CachedStore | undefined> {
  if (memoryBytes === 0) return undefined
  const { cached } = await import('./store/cached/cached-store.ts')
  return cached(store, memoryBytes === undefined ? {} : { memoryBytes })
}

function storeOptions(dir: string, options: CacheOptions): LocalStoreOptions {
  const { maxCacheSize, maxCasSize, maxEntries, minFreeSpace, evictionPolicy } = options
  const { casInlineThreshold, ttl, compression, chunking, hardLink, durability, readOnly, countsUses } = options
  return {
    dir,
    ...(maxCacheSize !== undefined && { maxCacheBytes: bytesOf('maxCacheSize', maxCacheSize) }),
    ...(maxCasSize !== undefined && { maxCasBytes: bytesOf('maxCasSize', maxCasSize) }),
    ...(maxEntries !== undefined && { maxEntries }),
    ...(minFreeSpace !== undefined && { minFreeBytes: bytesOf('minFreeSpace', minFreeSpace) }),
    ...(evictionPolicy !== undefined && { evictionPolicy }),
    ...(casInlineThreshold !== undefined && { inlineBytes: bytesOf('casInlineThreshold', casInlineThreshold) }),
    ...(ttl !== undefined && { ttlMs: typeof ttl === 'number' ? ttl : parseDuration(ttl) }),
    ...(compression !== undefined && { compression }),
    ...(chunking !== undefined && { chunking }),
    ...(hardLink !== undefined && { hardLink }),
    ...(durability !== undefined && { durability }),
    ...(readOnly !== undefined && { readOnly }),
    ...(countsUses !== undefined && { countsUses }),
  }
}

/** Throws `usage`, by the name of the option. */
function bytesOf(name: string, size: number | string): number {
  const bytes = typeof size === 'number' ? size : parseSize(size)
  if (bytes >= 0) return bytes
  throw new CacheError('usage', `${name} is ${bytes} bytes: it must be 0 or more.`)
}

class LocalCache implements Cache {
  readonly dir: string
  readonly readOnly: boolean
  readonly frames: Frames
  readonly names: BlobNames
  readonly catalog: Catalog
  readonly records: WorkspaceRecords
  readonly leases: Leases
  readonly ledger: Ledger
  readonly #store: LocalStore
  readonly #tier: CachedStore | undefined
  /** Of this machine. */
  readonly #engine: Engine
  /** With the remote cache that is not of a single run. */
  #common: Engine
  #remote: RemoteCacheOptions | undefined
  #remotes: Promise<RemoteTiers> | undefined
  #usual: Promise<UsualRuns> | undefined
  readonly #warnings: RemoteWarnings = new RemoteWarnings()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #corrupt: CorruptionReports = new CorruptionReports()
  #state: Promise<WorkspaceState | undefined> | undefined
  #closed: Promise<void> | undefined

  constructor(store: LocalStore, tier: CachedStore | undefined, readOnly: boolean) {
    this.#store = store
    this.#tier = tier
    this.dir = store.dir
    this.readOnly = readOnly
    this.frames = store.frames
    this.names = store.names
    this.catalog = store.catalog
    this.records = store.records
    this.leases = store.leases
    this.ledger = openLedger(store.dir)
    this.#engine = {
      ...{ blobs: (tier ?? store).blobs, files: store.files, actions: (tier ?? store).actions },
      ...{ records: store.records, leases: store.leases },
      scope: DEFAULT_SCOPE,
      cacheDir: store.dir,
      trashDir: join(store.dir, 'trash'),
      tmpDir: join(store.dir, 'tmp'),
      home: process.env.HOME || process.getBuiltinModule('node:os').homedir(),
    }
    this.#common = this.#engine
  }

  /** From now on, for whatever does not name another. */
  async useRemote(remote: RemoteCacheOptions): Promise<void> {
    this.#remote = remote
    this.#common = await this.#engineWith(remote)
  }

  get blobs(): BlobStore & Ingest {
    return this.#common.blobs
  }

  get actions(): ActionStore {
    return this.#common.actions
  }

  async key(action: ActionDescription | ActionRequest): Promise<Keyed> {
    const { records, cacheDir, home } = this.#engine
    return keyOf(await requestOf(action), { records, cacheDir, home })
  }

  get(key: ActionDigest): Promise<ActionLookup> {
    return this.actions.get(DEFAULT_SCOPE, key)
  }

  save(key: ActionDigest, result: ActionResult): Promise<PutOutcome> {
    return this.actions.put(DEFAULT_SCOPE, key, result)
  }

  run<T>(work: FunctionWork<T>, options?: CacheRunOptions): Promise<FunctionOutcome<T>>
  run(action: ActionDescription | ActionRequest, options?: CacheRunOptions): Promise<RunOutcome>
  async run<T>(
    work: ActionDescription | ActionRequest | FunctionWork<T>,
    options: CacheRunOptions = {},
  ): Promise<RunOutcome | FunctionOutcome<T>> {
    return 'fn' in work
      ? this.#track(this.#runFunction(work, options))
      : this.#track(requestOf(work).then((request) => this.#runCommand(request, options)))
  }

  memoize<A extends readonly unknown[], R>(
    name: string,
    fn: (...args: A) => Promise<R> | R,
    options: MemoizeOptions = {},
  ): Memoized<A, R> {
    return memoized(name, fn, options, (work) => this.run(work))
  }

  async stats(options?: { readonly sinceMs?: number }): Promise<CacheStats> {
    const { cacheStats } = await import('./observe/stats.ts')
    return cacheStats(this, options)
  }

  gc(options?: CollectOptions): Promise<CollectReport> {
    return this.catalog.collect(options)
  }

  close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#underWay).then(async () => {
      await (await this.#remotes)?.close()
      this.#tier?.[Symbol.dispose]()
      await (await this.#state)?.[Symbol.asyncDispose]()
      return this.#store[Symbol.asyncDispose]()
    })
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #runCommand(request: ActionRequest, options: CacheRunOptions): Promise<RunOutcome> {
    const { engine, whole } = await this.#prepared(request, options)
    using _reports = this.#corrupt.to(whole.notice)
    using _warnings = this.#warnings.to(whole.notice)
    const outcome = await runAction(request, engine, whole)
    this.#record(request, options.task, outcome)
    return outcome
  }

  async #runFunction<T>(work: FunctionWork<T>, options: CacheRunOptions): Promise<FunctionOutcome<T>> {
    const { functionRequest, runFunction } = await import('./action/run/run-function.ts')
    const named = { ...options, task: options.task ?? work.name }
    const request = functionRequest(work)
    const { engine, whole } = await this.#prepared(request, named)
    using _reports = this.#corrupt.to(whole.notice)
    using _warnings = this.#warnings.to(whole.notice)
    const end = await runFunction(work, engine, whole)
    this.#record(request, named.task, end.outcome)
    return end
  }

  /** Where nothing can be written down, nothing is restored either: the work is done. */
  async #prepared(
    request: ActionRequest,
    options: CacheRunOptions,
  ): Promise<{ readonly engine: Engine; readonly whole: RunOptions }> {
    const whole = withDefaults(options)
    if (!this.readOnly) return { engine: await this.#engineOf(request, options), whole }
    this.#state ??= import('./action/run/workspace-state.ts').then((state) => state.openWorkspaceState(this.dir))
    const state = await this.#state
    if (state === undefined) return { engine: this.#engine, whole: { ...whole, read: false, write: false } }
    const { records, leases, trashDir, tmpDir } = state
    const engine = { ...this.#engine, records, leases, trashDir, tmpDir, isReadOnly: true }
    return { engine, whole: { ...whole, write: false } }
  }

  #engineOf(request: ActionRequest, options: CacheRunOptions): Engine | Promise<Engine> {
    const remote = 'remote' in options ? options.remote : this.#remote
    if (remote === undefined) return this.#engine
    const usual = async () => {
      this.#usual ??= import('./observe/usual-runs.ts').then(({ UsualRuns }) => new UsualRuns(this.ledger))
      return (await this.#usual).of(request, options.task)
    }
    const thing = async () => {
      const { sharedThingOf } = await import('./observe/shared-thing.ts')
      return sharedThingOf({ ...request, task: options.task })
    }
    // Never the whole command line: it may hold what is nobody else's business.
    return this.#engineWith(remote, { usual, thing, label: options.task ?? basename(request.argv[0] ?? '') })
  }

  /** With `work`, for that alone. */
  async #engineWith(remote: RemoteCacheOptions, work?: RemoteWork): Promise<Engine> {
    if (this.readOnly) return this.#engine
    this.#remotes ??= import('./remote-tiers.ts').then(({ RemoteTiers }) => {
      const { blobs, actions, records, leases, files } = this.#engine
      const near = { blobs, actions, records, leases, frames: this.frames, ...(files !== undefined && { files }) }
      return new RemoteTiers(near, this.dir, (text) => this.#warnings.say(text))
    })
    const tier = (await this.#remotes).tier(remote)
    const { blobs, files } = tier
    const ofWork = work && remoteWork(tier, work)
    const { actions } = ofWork ?? tier
    const leavesOutputs = remote.download === 'none'
    return { ...this.#engine, ...ofWork, blobs, actions, leavesOutputs, ...(files !== undefined && { files }) }
  }

  #record(request: ActionRequest, task: string | undefined, outcome: RunOutcome): void {
    if (this.readOnly) return
    const record = runRecordOf(request, task, outcome)
    this.ledger.append(record)
    void this.#usual?.then((usual) => usual.add(record))
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const done = work.finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
    return done
  }
}

interface RemoteWork {
  readonly usual: () => Promise<Usual>
  readonly thing: () => Promise<string>
  readonly label: string
}

function remoteWork(tier: TieredStore, { usual, thing, label }: RemoteWork): Pick<Engine, 'actions' | 'fleet'> {
  const about = async () => {
    const [own, name] = await Promise.all([usual(), thing()])
    const knownMs = own.knownMs ?? tier.usualMs(DEFAULT_SCOPE, name)
    return { thing: name, knownMs, likelyMs: knownMs ?? own.likelyMs, guessMs: own.guessMs }
  }
  return {
    // By runs of this machine: what others say comes no sooner than what is looked up.
    actions: tier.actionsFor(async () => (await about()).guessMs),
    fleet: {
      label,
      about,
      hold: (...asked) => tier.hold(...asked),
    },
  }
}

async function requestOf(action: ActionDescription | ActionRequest): Promise<ActionRequest> {
  if ('argv' in action) return action
  const { describeAction } = await import('./action/describe-action.ts')
  return describeAction(action)
}

function withDefaults(options: CacheRunOptions): RunOptions {
  const { task: _task, ...given } = options
  return { ...RUN_DEFAULTS, ...given }
}

const RUN_DEFAULTS: RunOptions = {
  read: true,
  write: true,
  force: false,
  cacheFailures: false,
  clean: true,
  interactive: false,
  terminal: undefined,
  stripForcedColours: false,
  timeoutMs: undefined,
  waitMs: undefined,
  scratch: [],
  replayOutput: true,
  liveOutput: true,
  sink: { stdout() {}, stderr() {} },
  notice() {},
}

/** What the store found damaged while runs go on, told to one of them: it is a warning, once. */
class CorruptionReports {
  readonly #notices = new Set<(notice: RunNotice) => void>()
  #hearing: Disposable | undefined
  #wasTold = false

  to(notice: (notice: RunNotice) => void): Disposable {
    // A function of its own for each run: two may share the caller's.
    const own = (said: RunNotice) => notice(said)
    this.#notices.add(own)
    this.#hearing ??= hearCorruption(({ what, where }) => {
      // Damage seldom comes alone, and one line is enough to send somebody to the doctor.
      if (this.#wasTold) return
      this.#wasTold = true
      const [first] = this.#notices
      first?.({ kind: 'warning', text: `Damaged in the cache, and set aside: ${what} (${where}).` })
    })
    return { [Symbol.dispose]: () => this.#leave(own) }
  }

  #leave(notice: (notice: RunNotice) => void): void {
    this.#notices.delete(notice)
    if (this.#notices.size > 0) return
    this.#hearing?.[Symbol.dispose]()
    this.#hearing = undefined
    this.#wasTold = false
  }
}

/** What is wrong with a remote cache, told to one of the runs under way. */
class RemoteWarnings {
  readonly #notices = new Set<(notice: RunNotice) => void>()

  to(notice: (notice: RunNotice) => void): Disposable {
    const own = (said: RunNotice) => notice(said)
    this.#notices.add(own)
    return { [Symbol.dispose]: () => void this.#notices.delete(own) }
  }

  say(text: string): void {
    const [first] = this.#notices
    first?.({ kind: 'warning', text })
  }
}
