import type { ActionDigest } from '../../../digest/digest.ts'
import { CacheError } from '../../../errors.ts'
import type {
  Catalog,
  CatalogEntry,
  CollectOptions,
  CollectReport,
  Leases,
  Scope,
  StoreUsage,
} from '../../contracts.ts'
import { toolKeyIn } from '../../tool-key.ts'
import type { Compression } from '../compression.ts'
import type { IndexDb } from '../index-db.ts'
import type { Journal } from '../journal.ts'
import type { Layout } from '../layout.ts'
import { pinName, pinsAt, putPin, removePin } from '../pins.ts'
import { accountsOf } from './accounts.ts'
import type { Collected } from './collected.ts'
import { collect } from './collector.ts'
import { peeking } from './collector-peek.ts'
import { listActions } from './collector-rows.ts'
import { DEFAULT_POLICY } from './eviction-order.ts'
import { type QuotaOptions, quotaOf } from './quota.ts'
import { folderBytes } from './quota-usage.ts'
import { blobPlaces } from './row-pages.ts'

/** What the catalog and the collector work on. */
export interface CatalogParts {
  readonly layout: Layout
  readonly index: IndexDb
  readonly journal: Journal
  readonly leases: Leases
  readonly compression: Compression
  readonly flushMarks: () => Promise<void>
  readonly now: () => number
  readonly limits: QuotaOptions
  readonly readOnly: boolean
}

/** Held by the one process that collects. */
export const COLLECTOR_LEASE = 'collector'

/** What the engine keeps, for lists, for `usage`, and for whoever wants room. */
export function localCatalog(parts: CatalogParts): Catalog {
  return new LocalCatalog(collectedOf(parts))
}

function collectedOf(parts: CatalogParts): Collected {
  const { layout, index, limits } = parts
  return {
    ...parts,
    quota: quotaOf(layout.dir, limits),
    policy: limits.evictionPolicy ?? DEFAULT_POLICY,
    peek: peeking(index, layout),
  }
}

/** A collection, down to the low mark unless said; nothing when another process is at it. Throws the signal's reason. */
export async function collectUnlessOthersDo(parts: CatalogParts, options: CollectOptions): Promise<void> {
  await using lease = await parts.leases.tryHold(COLLECTOR_LEASE)
  if (lease !== undefined) await collect(collectedOf(parts), options)
}

class LocalCatalog implements Catalog {
  readonly #parts: Collected

  constructor(parts: Collected) {
    this.#parts = parts
  }

  async *list(): AsyncGenerator<CatalogEntry> {
    const { index, layout, now } = this.#parts
    const pins = pinsAt(layout, now())
    for await (const found of listActions(index)) {
      const { action, instance, createdMs, touchedMs: accessedMs, hits, contentBytes, durationMs } = found
      const pinnedUntilMs = pins.get(pinName(instance, action.hash))
      const toolKey = toolKeyIn(found.result)
      yield { action, instance, createdMs, accessedMs, hits, contentBytes, durationMs, pinnedUntilMs, toolKey }
    }
  }

  async usage(): Promise<StoreUsage> {
    const { index, layout, quota } = this.#parts
    let blobs = 0
    let contentBytes = 0
    for await (const places of blobPlaces(index)) {
      blobs += places.length
      for (const { sizeBytes } of places) contentBytes += sizeBytes
    }
    return {
      actions: accountsOf(index).actions,
      blobs,
      contentBytes,
      diskBytes: folderBytes(layout.dir),
      trashBytes: folderBytes(layout.trash),
      maxCacheBytes: quota.maxCacheBytes,
    }
  }

  async pin({ instance }: Scope, action: ActionDigest, untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#refuseReadOnly('pinned')
    if (Number.isNaN(untilMs)) throw new CacheError('usage', 'The time until which a result is pinned is no number.')
    putPin(this.#parts.layout, pinName(instance, action.hash), untilMs)
  }

  async unpin({ instance }: Scope, action: ActionDigest): Promise<boolean> {
    this.#refuseReadOnly('unpinned')
    return removePin(this.#parts.layout, pinName(instance, action.hash))
  }

  #refuseReadOnly(what: string): void {
    if (!this.#parts.readOnly) return
    throw new CacheError('store.read-only', `Nothing was ${what}: the cache is open for reading only.`, {
      hint: 'Check the permissions of its folder, and whether its file system is mounted read-only.',
    })
  }

  /** Waits for another process that collects, since what it leaves may be more than was asked for. */
  async collect(options: CollectOptions = {}): Promise<CollectReport> {
    const { signal, targetBytes } = options
    this.#refuseReadOnly('collected')
    if (targetBytes !== undefined && !(targetBytes >= 0))
      throw new CacheError('usage', `A cache cannot be made ${targetBytes} bytes small.`)
    await using _ = await this.#parts.leases.hold(COLLECTOR_LEASE, {
      note: 'collecting',
      ...(signal === undefined ? {} : { signal }),
    })
    return await collect(this.#parts, options)
  }
}
