import type { Catalog, CatalogEntry, CollectOptions, CollectReport, StoreUsage } from '../../contracts.ts'
import type { CatalogParts } from '../lazy-catalog.ts'
import { decodeBlobPlace } from '../rows.ts'
import { type Collected, collect } from './collector.ts'
import { peeking } from './collector-peek.ts'
import { listActions } from './collector-rows.ts'
import { quotaOf } from './quota.ts'
import { folderBytes } from './quota-usage.ts'

/** Held by the one process that collects. */
export const COLLECTOR_LEASE = 'collector'

/** What the engine keeps, for lists, for `usage`, and for whoever wants room. */
export function localCatalog(parts: CatalogParts): Catalog {
  return new LocalCatalog(collectedOf(parts))
}

function collectedOf(parts: CatalogParts): Collected {
  const { layout, index, limits } = parts
  return { ...parts, quota: quotaOf(layout.dir, limits), peek: peeking(index, layout) }
}

/** A collection down to the low mark; nothing when another process is at it. Throws the signal's reason. */
export async function collectUnlessOthersDo(parts: CatalogParts, signal: AbortSignal): Promise<void> {
  await using lease = await parts.leases.tryHold(COLLECTOR_LEASE)
  if (lease !== undefined) await collect(collectedOf(parts), { signal })
}

class LocalCatalog implements Catalog {
  readonly #parts: Collected

  constructor(parts: Collected) {
    this.#parts = parts
  }

  async *list(): AsyncGenerator<CatalogEntry> {
    for await (const found of listActions(this.#parts.index)) {
      const { action, instance, createdMs, touchedMs, hits, contentBytes, durationMs } = found
      yield { action, instance, createdMs, accessedMs: touchedMs, hits, contentBytes, durationMs, label: '' }
    }
  }

  async usage(): Promise<StoreUsage> {
    const { index, layout, quota } = this.#parts
    let blobs = 0
    let contentBytes = 0
    for (const [hash, value] of index.sql('SELECT hash, place FROM blobs').iterate()) {
      const place = decodeBlobPlace(hash as Uint8Array, value as Uint8Array)
      if (place === undefined) continue
      blobs++
      contentBytes += place.sizeBytes
    }
    return {
      actions: Number(index.sql('SELECT count(*) FROM actions').get()?.[0] ?? 0),
      blobs,
      contentBytes,
      diskBytes: folderBytes(layout.dir),
      trashBytes: folderBytes(layout.trash),
      maxCacheBytes: quota.maxCacheBytes,
    }
  }

  /** Waits for another process that collects, since what it leaves may be more than was asked for. */
  async collect(options: CollectOptions = {}): Promise<CollectReport> {
    const { signal } = options
    await using _ = await this.#parts.leases.hold(COLLECTOR_LEASE, {
      note: 'collecting',
      ...(signal === undefined ? {} : { signal }),
    })
    return await collect(this.#parts, options)
  }
}
