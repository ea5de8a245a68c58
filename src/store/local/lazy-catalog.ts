import type { ActionDigest } from '../../digest/digest.ts'
import type { Catalog, CatalogEntry, CollectOptions, CollectReport, Leases, Scope, StoreUsage } from '../contracts.ts'
import type { QuotaOptions } from './collector/quota.ts'
import type { Compression } from './compression.ts'
import type { IndexDb } from './index-db.ts'
import type { Journal } from './journal.ts'
import type { Layout } from './layout.ts'

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

/** The catalog, loaded when it is first asked: a run that hits has no use for the collector's code. */
export function lazyCatalog(parts: CatalogParts): Catalog {
  return new LazyCatalog(parts)
}

class LazyCatalog implements Catalog {
  readonly #parts: CatalogParts
  #loaded: Promise<Catalog> | undefined

  constructor(parts: CatalogParts) {
    this.#parts = parts
  }

  async *list(): AsyncGenerator<CatalogEntry> {
    yield* (await this.#load()).list()
  }

  async usage(): Promise<StoreUsage> {
    return (await this.#load()).usage()
  }

  async collect(options?: CollectOptions): Promise<CollectReport> {
    return (await this.#load()).collect(options)
  }

  async pin(scope: Scope, action: ActionDigest, untilMs?: number): Promise<void> {
    return (await this.#load()).pin(scope, action, untilMs)
  }

  async unpin(scope: Scope, action: ActionDigest): Promise<boolean> {
    return (await this.#load()).unpin(scope, action)
  }

  #load(): Promise<Catalog> {
    this.#loaded ??= import('./collector/catalog.ts').then(({ localCatalog }) => localCatalog(this.#parts))
    return this.#loaded
  }
}
