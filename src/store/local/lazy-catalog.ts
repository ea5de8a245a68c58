import type { ActionDigest } from '../../digest/digest.ts'
import type { Catalog, CatalogEntry, CollectOptions, CollectReport, Scope, StoreUsage } from '../contracts.ts'
import type { CatalogParts } from './collector/catalog.ts'

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
