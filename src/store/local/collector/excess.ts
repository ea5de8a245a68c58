import { accountsOf, restBytes } from './accounts.ts'
import type { CatalogParts } from './catalog.ts'
import { freeBytesAt, highWater, highWaterCount, quotaOf } from './quota.ts'
import { folderBytes } from './quota-usage.ts'

/** `mark`: a collection is due. `limit`: the folder is larger than it may be. */
export type Excess = 'none' | 'mark' | 'limit'

/** By the accounts: some hundred files are looked at, however many entries there are. */
export function excessOf({ layout, index, limits }: CatalogParts): Excess {
  const { maxCacheBytes, maxCasBytes, maxEntries, minFreeBytes } = quotaOf(layout.dir, limits)
  const { actions, fileBytes } = accountsOf(index)
  const casBytes = folderBytes(layout.journal) + fileBytes
  const diskBytes = restBytes(layout) + casBytes
  const isFull = minFreeBytes > 0 && freeBytesAt(layout.dir) < minFreeBytes
  if (diskBytes > maxCacheBytes || casBytes > maxCasBytes || actions > maxEntries || isFull) return 'limit'
  const isPastMark =
    diskBytes > highWater(maxCacheBytes) || casBytes > highWater(maxCasBytes) || actions > highWaterCount(maxEntries)
  return isPastMark ? 'mark' : 'none'
}
