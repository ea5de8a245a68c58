import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { accountErrors } from '../../src/store/local/collector/accounts.ts'
import { openIndexDb } from '../../src/store/local/index-db.ts'
import { layoutOf } from '../../src/store/local/layout.ts'
import { type LocalStore, openLocalStore } from '../../src/store/local/local-store.ts'
import { checkEntry, type EntryShape } from './entries.ts'

/** All files below a folder, by path, with their sizes. */
export function filesBelow(folder: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name)
      found.set(path, lstatSync(path).size)
    }
  return found
}

/**
 * Opens the store, reads every entry back and returns the names of those that are there. What was acknowledged must be
 * there unless `mayBeGone`; whatever is there must be whole.
 */
export async function entriesOfStore(dir: string, names: readonly string[], shape: EntryShape): Promise<string[]> {
  await using store = await openLocalStore({ dir })
  return await wholeEntries(store, names, shape)
}

export async function wholeEntries(store: LocalStore, names: readonly string[], shape: EntryShape): Promise<string[]> {
  const whole: string[] = []
  for (const name of names) {
    const state = await checkEntry(store, name, shape)
    expect(state, `${name} is neither whole nor absent`).not.toBe('lost')
    if (state === 'whole') whole.push(name)
  }
  return whole
}

/** After a collection with no other process about: nothing in `tmp/`, no file in `blobs/` without a row, and the count is right. */
export async function expectTidy(dir: string): Promise<void> {
  await using store = await openLocalStore({ dir, now: () => Date.now() + 3_600_000 })
  const report = await store.catalog.collect()
  expect(readdirSync(join(dir, 'tmp'))).toEqual([])
  const usage = await store.catalog.usage()
  const fresh = [...filesBelow(dir).values()].reduce((sum, bytes) => sum + bytes, 0)
  expect(usage.diskBytes).toBe(fresh)
  expect(report.keptActions).toBe(usage.actions)
  const layout = layoutOf(dir)
  using index = openIndexDb(layout.index, { readOnly: false, durability: 'fast' })
  expect(accountErrors(index, layout, { files: true })).toEqual([])
}
