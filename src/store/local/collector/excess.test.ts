import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { openIndexDb } from '../index-db.ts'
import { layoutOf } from '../layout.ts'
import { openLocalStore } from '../local-store.ts'
import { accountsOf, diskBytesOf } from './accounts.ts'
import type { CatalogParts } from './catalog.ts'
import { targetsOf } from './eviction.ts'
import { excessOf } from './excess.ts'
import { type QuotaOptions, quotaOf } from './quota.ts'
import { folderBytes } from './quota-usage.ts'

test('each limit has a mark below it, and is passed above', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'recue-excess-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const layout = layoutOf(dir)
  await using store = await openLocalStore({ dir })
  for (let i = 0; i < 40; i++) await saveEntry(store, `e${i}`, i === 0 ? { ...SMALL, largeBytes: 1_200_000 } : SMALL)
  using index = openIndexDb(layout.index, { readOnly: true, durability: 'fast' })
  const under = (limits: QuotaOptions) => excessOf({ layout, index, limits } as CatalogParts)
  const disk = diskBytesOf(index, layout)
  const cas = folderBytes(layout.journal) + accountsOf(index).fileBytes
  expect(cas).toBeLessThan(disk)
  expect(cas).toBeGreaterThan(1_200_000)
  for (const [name, bytes] of [
    ['maxCacheBytes', disk],
    ['maxCasBytes', cas],
  ] as const) {
    expect([name, under({ [name]: bytes * 1.1 })]).toEqual([name, 'none'])
    expect([name, under({ [name]: bytes * 1.04 })]).toEqual([name, 'mark'])
    expect([name, under({ [name]: bytes - 1 })]).toEqual([name, 'limit'])
  }
  expect([45, 41, 40, 39].map((maxEntries) => under({ maxEntries }))).toEqual(['none', 'mark', 'mark', 'limit'])
  const { blocks, bsize } = statfsSync(dir)
  // Past the mark, and only then, the low mark is what a collection has to come down to.
  const targets = (limits: QuotaOptions) => targetsOf(index, layout, quotaOf(dir, limits), undefined)
  expect(targets({ maxCasBytes: cas * 1.04 }).casBytes).toBeCloseTo(cas * 1.04 * 0.8, 0)
  expect(targets({ maxCasBytes: cas * 1.1 }).casBytes).toBe(Number.POSITIVE_INFINITY)
  expect([45, 41, 39].map((maxEntries) => targets({ maxEntries }).entries)).toEqual([Number.POSITIVE_INFINITY, 33, 32])
  expect(under({ minFreeBytes: 1 })).toBe('none')
  expect(under({ minFreeBytes: blocks * bsize })).toBe('limit')
})
