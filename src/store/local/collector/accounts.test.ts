import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { entryOf, SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { DEFAULT_SCOPE } from '../../contracts.ts'
import { type IndexDb, openIndexDb } from '../index-db.ts'
import { layoutOf } from '../layout.ts'
import { openLocalStore } from '../local-store.ts'
import { accountErrors, accountsOf, diskBytesOf, mendAccounts } from './accounts.ts'
import { folderBytes } from './quota-usage.ts'

const LARGE = { ...SMALL, largeBytes: 1_100_000 }

function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'recue-accounts-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function opened(dir: string): IndexDb {
  const index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  onTestFinished(() => index[Symbol.dispose]())
  return index
}

test('say what counting says after puts, replacements, removals, damage, collections and a rebuild', async () => {
  const dir = temporary()
  const layout = layoutOf(dir)
  let aheadMs = 0
  const now = () => Date.now() + aheadMs
  {
    await using store = await openLocalStore({ dir, now })
    const index = opened(dir)
    const agree = (files = true) => expect(accountErrors(index, layout, { files })).toEqual([])
    for (const name of ['a', 'b', 'c']) await saveEntry(store, name, LARGE)
    expect(accountsOf(index)).toMatchObject({ actions: 3, fileBytes: folderBytes(layout.blobs) })
    expect(accountsOf(index).fileBytes).toBeGreaterThan(3_000_000)
    agree()
    await saveEntry(store, 'a', LARGE)
    await store.actions.remove(DEFAULT_SCOPE, entryOf('b', LARGE).key)
    agree()
    expect(accountsOf(index).actions).toBe(2)
    aheadMs += 10 * 3_600_000
    await store.catalog.collect()
    agree()
    expect(accountsOf(index).fileBytes).toBeLessThan(2_500_000)
    expect(diskBytesOf(index, layout)).toBe(folderBytes(dir))
    await store.catalog.collect({ targetBytes: 0 })
    agree()
    expect(accountsOf(index)).toMatchObject({ actions: 0, fileBytes: 0 })
    await saveEntry(store, 'd', LARGE)
  }
  rmSync(layout.index)
  await using _store = await openLocalStore({ dir, now })
  expect(accountErrors(opened(dir), layout, { files: true })).toEqual([])
})

test('that are wrong are named, and mended', async () => {
  const dir = temporary()
  const layout = layoutOf(dir)
  await using store = await openLocalStore({ dir })
  for (const name of ['a', 'b']) await saveEntry(store, name, LARGE)
  const index = opened(dir)
  const said = accountsOf(index)
  await index.write(() => index.sql('UPDATE state SET actions=7, fileBytes=fileBytes+1').run())
  expect(accountErrors(index, layout, { files: true })).toEqual([
    'action results: the account says 7, counted are 2',
    expect.stringMatching(/^bytes of files that rows name: /),
    expect.stringMatching(/^bytes of files in blobs\/: /),
  ])
  await mendAccounts(index)
  expect(accountsOf(index)).toEqual(said)
  await index.write(() => index.sql('UPDATE blobs SET stored=stored+1').run())
  expect(accountErrors(index, layout, { files: false })).toEqual([expect.stringMatching(/^\d+ rows of blobs/)])
  const generation = index.generation()
  await index.write(() => index.sql('DELETE FROM state').run())
  await mendAccounts(index)
  expect(index.generation()).toBe(generation + 1)
  expect(accountErrors(index, layout, { files: true })).toEqual([])
})
