import { join } from 'node:path'
import { isCacheError } from './errors.ts'
import type { DenialMemory } from './store/guarded/denial-file.ts'
import { addressesIn, parted, placeOf } from './store/remote/address-list.ts'
import type { RemoteAccess } from './store/remote/remote-address.ts'
import type { RemoteEnd } from './store/remote/remote-end.ts'
import { shownAddress } from './store/remote/shown-address.ts'
import { hearRemote, type RemoteEvent } from './store/tiered/remote-events.ts'
import { type Left, type NearTier, type TieredStore, tiered } from './store/tiered/tiered.ts'
import { parseDuration } from './units/duration.ts'

/** A cache on another machine, behind the one here. */
export interface RemoteCacheOptions {
  /**
   * `grpcs://HOST`, `grpc://HOST:PORT` or `unix:/path` (REAPI), `https://HOST/path` or `http://HOST:PORT` (Bazel's HTTP layout). Or
   * several with commas between them, each of which has a share of all keys: `grpc://a:1#weight=2,grpc://b:1`.
   */
  readonly address: string
  /** On how many of several each key is; 2 unless said. */
  readonly replicas?: number
  /** Unless false, what is not here is looked for there. */
  readonly read?: boolean
  /** Unless false, what is kept here is sent there, in the background. */
  readonly write?: boolean
  /** `none`: of what is found there outputs are not fetched, and hits leave the workspace as it is; what was printed is replayed. */
  readonly download?: 'all' | 'none'
  /** Somebody asked for it in so many words: it is given time to answer, and tried though it was away before. */
  readonly isWanted?: boolean
  /**
   * What is shown to it, and whom to trust; a function is called when there is first something to ask, with the address of each where
   * there are several.
   */
  readonly access?: RemoteAccess | ((address: string) => Promise<RemoteAccess>)
  /** How long its first answer may take until it is taken to be away; 150 ms unless said, since a build may have to wait that long in vain. */
  readonly timeout?: number | string
  /** How long closing the cache waits for what moves; 1 s unless said. The next process that keeps something sends the rest. */
  readonly uploadWait?: number | string
}

const UPLOAD_WAIT_MS = 1_000

/** The remote caches that one process uses, each opened once. A look-up that is answered here loads no more than this file. */
export class RemoteTiers {
  readonly #near: NearTier
  readonly #cacheDir: string
  readonly #tiers = new Map<string, TieredStore>()
  readonly #ends = new Map<string, Promise<RemoteEnd>>()
  /** By address, what is shown there. */
  readonly #shown = new Map<string, Promise<RemoteAccess>>()
  /** By place, which is what is heard of. */
  readonly #options = new Map<string, RemoteCacheOptions>()
  readonly #told = new Set<string>()
  readonly #warn: (text: string) => void
  readonly #noting: Promise<void>[] = []
  #hearing: Disposable | undefined
  #waitMs = 0

  /** `warn` is called at most once for each remote. */
  constructor(near: NearTier, cacheDir: string, warn: (text: string) => void) {
    this.#near = near
    this.#cacheDir = cacheDir
    this.#warn = warn
  }

  /** Both stores as one. */
  tier(options: RemoteCacheOptions): TieredStore {
    const { address, replicas = 2, read = true, write = true, download = 'all', uploadWait = UPLOAD_WAIT_MS } = options
    this.#waitMs = Math.max(this.#waitMs, typeof uploadWait === 'number' ? uploadWait : parseDuration(uploadWait))
    this.#hearing ??= hearRemote((event) => this.#hear(event))
    const name = `${read} ${write} ${download} ${replicas} ${address}`
    const known = this.#tiers.get(name)
    if (known !== undefined) return known
    const place = placeOf(address)
    this.#options.set(place, options)
    const fetch = download === 'all' ? 'all' : 'asked'
    const isDenied = () => this.#isDenied(place, options)
    const tier = tiered(this.#near, () => this.#end(options), { place, read, write, fetch, isDenied })
    this.#tiers.set(name, tier)
    return tier
  }

  /** What was learned of a remote that takes nothing does not count: somebody wants it tried. */
  async tryAgain(address: string): Promise<void> {
    ;(await this.#denials(placeOf(address))).forget()
  }

  /** Ends what moves, after it had its time. */
  async close(): Promise<void> {
    const tiers = [...this.#tiers.values()]
    await Promise.all(tiers.map((tier): Promise<Left> => tier.flush(this.#waitMs)))
    await Promise.allSettled(tiers.map((tier) => tier[Symbol.asyncDispose]()))
    await Promise.allSettled(this.#noting)
    const ends = await Promise.allSettled(this.#ends.values())
    await Promise.allSettled(
      ends.map((end) => (end.status === 'fulfilled' ? end.value[Symbol.asyncDispose]() : undefined)),
    )
    this.#hearing?.[Symbol.dispose]()
  }

  #end(options: RemoteCacheOptions): Promise<RemoteEnd> {
    const { address, replicas = 2 } = options
    const name = `${replicas} ${address}`
    let end = this.#ends.get(name)
    if (end === undefined) {
      end = this.#open(options)
      this.#ends.set(name, end)
    }
    return end
  }

  async #open(options: RemoteCacheOptions): Promise<RemoteEnd> {
    const { remoteMembers } = await import('./store/remote/remote-members.ts')
    const members = remoteMembers(options.address)
    await using opened = new AsyncDisposableStack()
    const ends = await Promise.all(
      members.map(async (member) => ({ ...member, end: opened.use(await this.#openOne(member.address, options)) })),
    )
    const [only] = ends
    const { sharded } = ends.length === 1 ? {} : await import('./store/sharded/sharded.ts')
    const end = sharded?.(ends, { replicas: options.replicas ?? 2, tmpDir: join(this.#cacheDir, 'tmp') }) ?? only?.end
    opened.move()
    return end as RemoteEnd
  }

  async #openOne(address: string, options: RemoteCacheOptions): Promise<RemoteEnd> {
    const [{ openRemote }, { withProxy }, { guarded }, { breakerFile, breakerInMemory }, { limitsWithin }] =
      await Promise.all([
        import('./store/remote/open-remote.ts'),
        import('./store/remote/proxy.ts'),
        import('./store/guarded/guarded.ts'),
        import('./store/guarded/breaker-file.ts'),
        import('./store/guarded/guard-limits.ts'),
      ])
    const { isWanted = false, timeout } = options
    const place = shownAddress(address)
    const end = await openRemote(address, {
      ...withProxy(address, await this.#access(address, options), process.env),
      tmpDir: join(this.#cacheDir, 'tmp'),
    })
    if (isWanted) return guarded(end, { place, memory: breakerInMemory(), limits: PATIENT })
    return guarded(end, {
      ...{ place, memory: breakerFile(join(this.#cacheDir, 'remotes'), place) },
      ...(timeout !== undefined && {
        limits: limitsWithin(typeof timeout === 'number' ? timeout : parseDuration(timeout)),
      }),
    })
  }

  #access(address: string, { access = {} }: RemoteCacheOptions): Promise<RemoteAccess> {
    let shown = this.#shown.get(address)
    if (shown === undefined) {
      shown = typeof access === 'function' ? access(address) : Promise.resolve(access)
      this.#shown.set(address, shown)
    }
    return shown
  }

  /** What is shown to all of them, so that it is known again. */
  async #accessToAll(options: RemoteCacheOptions): Promise<RemoteAccess> {
    const addresses = addressesIn(options.address).map((each) => parted(each).address)
    const all = await Promise.all(addresses.map((address) => this.#access(address, options)))
    if (all.length === 1) return all[0] as RemoteAccess
    return { token: JSON.stringify(all.map(({ token, headers, tls }) => [token, headers, tls?.cert])) }
  }

  async #isDenied(place: string, options: RemoteCacheOptions): Promise<boolean> {
    const denials = await this.#denials(place)
    // What it takes to know who asks is read only where it matters.
    if (!denials.mayBeDenied()) return false
    return this.#accessToAll(options).then(
      (access) => denials.isDenied(access),
      () => false,
    )
  }

  async #noteDenied(place: string): Promise<void> {
    const options = this.#options.get(place)
    if (options === undefined) return
    const [denials, access] = await Promise.all([this.#denials(place), this.#accessToAll(options)])
    denials.deny(access)
  }

  async #denials(place: string): Promise<DenialMemory> {
    const { denialFile } = await import('./store/guarded/denial-file.ts')
    return denialFile(join(this.#cacheDir, 'remotes'), place)
  }

  #hear(event: RemoteEvent): void {
    if (event.kind === 'fault' && event.during === 'upload' && mayOnlyRead(event.error))
      this.#noting.push(this.#noteDenied(event.place))
    if (event.kind !== 'fault' || this.#told.has(event.place) || !isNews(event)) return
    this.#told.add(event.place)
    this.#warn(`${wordsOf(event.error)} Work goes on with what is here.`)
  }
}

/** It is known, and its token is not one that writes. Of one that is unknown nothing is to be remembered: it will be put right. */
function mayOnlyRead(error: unknown): boolean {
  if (!isCacheError(error) || error.code !== 'remote.denied') return false
  const { status, code } = error.context
  // A bucket names a code of its own, and its credentials are looked up where others put them: they change without our knowing.
  return code === undefined && (status === GRPC_PERMISSION_DENIED || status === HTTP_FORBIDDEN)
}

/** Of somebody who waits for nothing else. */
const PATIENT = { firstAnswerMs: 10_000, mostFirstAnswerMs: 10_000, lookUpMs: 10_000, leastPatienceMs: 3_000 }

const GRPC_PERMISSION_DENIED = 7
const HTTP_FORBIDDEN = 403

/** Not what an earlier process has said already; and that a token may only read is no fault, but what its giver wanted. */
function isNews({ error, during }: Extract<RemoteEvent, { kind: 'fault' }>): boolean {
  if (!isCacheError(error)) return true
  if (error.context.isOpen === true) return false
  return !(error.code === 'remote.denied' && during !== 'look-up' && during !== 'download')
}

function wordsOf(error: unknown): string {
  if (isCacheError(error)) return error.hint === undefined ? error.message : `${error.message} ${error.hint}`
  return error instanceof Error ? error.message : String(error)
}
