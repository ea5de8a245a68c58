import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { BATCH_BLOB_BYTES, type Scope } from '../contracts.ts'
import { reportCorruption } from '../local/corrupt.ts'
import { Recently } from '../recently.ts'
import { abortable } from '../remote/waiting.ts'
import type { FarEnd } from './far-end.ts'
import type { FarTier, NearTier } from './tiered.ts'

/** A blob on its way here, whoever asked for it first. Neither promise rejects. */
export interface Arriving {
  readonly digest: Digest
  /** Content of a small blob, as soon as it is here; undefined: it does not come, or is large. */
  readonly bytes: Promise<Uint8Array | undefined>
  /** Whether near has it now. */
  readonly kept: Promise<boolean>
}

interface Arrival extends Arriving {
  readonly key: string
  has(bytes: Uint8Array | undefined): void
  ends(isKept: boolean): void
}

/** What is known not to be far is not asked for again so soon: a build asks for the same thing several times at once. */
const GONE_MS = 10_000
const MOST_REMEMBERED = 100_000

/**
 * Blobs from far into near. Each is fetched once, however many want it at the same time; who waits for a small one has it when
 * it arrives, while near is still keeping it. A fetch goes on when those who wanted it have left.
 */
export class Downloads {
  readonly #near: NearTier
  readonly #far: FarEnd
  readonly #arriving = new Map<string, Arrival>()
  readonly #kept: Recently
  readonly #gone: Recently
  #takesMore = true

  constructor(near: NearTier, far: FarEnd, now: () => number) {
    this.#near = near
    this.#far = far
    this.#kept = new Recently(MOST_REMEMBERED, Number.POSITIVE_INFINITY, now)
    this.#gone = new Recently(MOST_REMEMBERED, GONE_MS, now)
  }

  /** False once near could not keep a blob: a full disk, or a folder that is read-only. Blobs are then passed on alone. */
  get isKeeping(): boolean {
    return this.#takesMore
  }

  arriving(scope: Scope, digest: Digest): Arriving | undefined {
    return this.#arriving.get(keyOf(scope, digest))
  }

  /** True when this process has fetched it: near is then to be asked again before anything is fetched. */
  hasKept(scope: Scope, digest: Digest): boolean {
    return this.#kept.has(keyOf(scope, digest))
  }

  /** It was fetched, and has gone from near since. */
  forget(scope: Scope, digest: Digest): void {
    this.#kept.remove(keyOf(scope, digest))
  }

  /** Far has been asked for it just now, and has not got it. */
  isGone(scope: Scope, digest: Digest): boolean {
    return this.#gone.has(keyOf(scope, digest))
  }

  /** Starts fetching those that are not on their way yet. Small ones share what calls the end can share. */
  start(scope: Scope, digests: readonly Digest[]): Arriving[] {
    const fresh: Arrival[] = []
    const all = digests.map((digest): Arriving => {
      const key = keyOf(scope, digest)
      const known = this.#arriving.get(key)
      if (known !== undefined) return known
      const arrival = arrivalOf(key, digest)
      if (this.#gone.has(key)) {
        arrival.has(undefined)
        arrival.ends(false)
        return arrival
      }
      this.#arriving.set(key, arrival)
      fresh.push(arrival)
      return arrival
    })
    const small = fresh.filter(({ digest }) => digest.sizeBytes <= BATCH_BLOB_BYTES)
    this.#far.moved('due', 'down', fresh.length, sizeOf(fresh))
    if (small.length > 0) void this.#fetchSmall(scope, small)
    for (const arrival of fresh) if (arrival.digest.sizeBytes > BATCH_BLOB_BYTES) void this.#fetchLarge(scope, arrival)
    return all
  }

  async settled(): Promise<void> {
    while (this.#arriving.size > 0) await Promise.all([...this.#arriving.values()].map(({ kept }) => kept))
  }

  async #fetchSmall(scope: Scope, arrivals: readonly Arrival[]): Promise<void> {
    const waiting = new Set(arrivals)
    await this.#far.attempt('download', async ({ blobs }) => {
      const digests = arrivals.map(({ digest }) => digest)
      for await (const { index, bytes } of blobs.readBatch(scope, digests, this.#far.signal)) {
        const arrival = arrivals[index] as Arrival
        if (!waiting.delete(arrival)) continue
        if (bytes?.length !== arrival.digest.sizeBytes) this.#end(arrival, 'gone')
        // Copied: the bytes may be of use until the next entry alone.
        else void this.#keepSmall(scope, arrival, new Uint8Array(bytes))
      }
    })
    for (const arrival of waiting) this.#end(arrival, 'failed')
  }

  async #keepSmall(scope: Scope, arrival: Arrival, bytes: Uint8Array): Promise<void> {
    arrival.has(bytes)
    this.#far.moved('moved', 'down', 1, bytes.length)
    const isKept = this.#takesMore && (await this.#toNear(() => this.#near.blobs.write(scope, arrival.digest, bytes)))
    this.#end(arrival, isKept ? 'kept' : 'passed on')
  }

  async #fetchLarge(scope: Scope, arrival: Arrival): Promise<void> {
    const { digest } = arrival
    if (!this.#takesMore) return this.#end(arrival, 'failed')
    try {
      const far = await this.#far.opened()
      const isThere = await abortable(this.#large(far, scope, digest), this.#far.signal)
      if (isThere) this.#far.moved('moved', 'down', 1, digest.sizeBytes)
      this.#end(arrival, isThere ? 'kept' : 'gone')
    } catch (error) {
      if (isCacheError(error) && error.code === 'store.corrupt')
        reportCorruption('a blob of a remote cache', `${this.#far.place}: ${digest.hash}`)
      else if (isNearFault(error)) this.#takesMore = false
      else this.#far.failed('download', error)
      this.#end(arrival, 'failed')
    }
  }

  /** Where the end can, without a file between: near checks what it keeps. */
  async #large({ blobs, fetches }: FarTier, scope: Scope, digest: Digest): Promise<boolean> {
    const { signal } = this.#far
    if (fetches !== undefined) return fetches.fetchInto(scope, digest, this.#near, signal)
    await using bytes = await blobs.read(scope, digest, { signal })
    if (bytes === undefined) return false
    await this.#near.blobs.write(scope, digest, bytes, signal)
    return true
  }

  async #toNear(work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch {
      this.#takesMore = false
      return false
    }
  }

  #end(arrival: Arrival, how: 'kept' | 'passed on' | 'gone' | 'failed'): void {
    this.#arriving.delete(arrival.key)
    if (how === 'kept') this.#kept.add(arrival.key)
    if (how === 'gone') this.#gone.add(arrival.key)
    if (how === 'gone' || how === 'failed') this.#far.moved('lost', 'down', 1, arrival.digest.sizeBytes)
    arrival.has(undefined)
    arrival.ends(how === 'kept')
  }
}

function isNearFault(error: unknown): boolean {
  return isCacheError(error) && error.code.startsWith('store.')
}

function arrivalOf(key: string, digest: Digest): Arrival {
  const bytes = Promise.withResolvers<Uint8Array | undefined>()
  const kept = Promise.withResolvers<boolean>()
  return { key, digest, bytes: bytes.promise, kept: kept.promise, has: bytes.resolve, ends: kept.resolve }
}

function sizeOf(arrivals: readonly Arriving[]): number {
  return arrivals.reduce((sum, { digest }) => sum + digest.sizeBytes, 0)
}

function keyOf({ instance }: Scope, { hash, sizeBytes }: Digest): string {
  return `${hash}/${sizeBytes} ${instance}`
}
