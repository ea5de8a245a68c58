import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bytesOf, checkEntry, entryOf, SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../../contracts.ts'
import { openIndexDb } from '../index-db.ts'
import { layoutOf } from '../layout.ts'
import { openLocalStore } from '../local-store.ts'
import { accountErrors } from './accounts.ts'
import { folderBytes } from './quota-usage.ts'

const HOUR = 3_600_000
const MIB = 2 ** 20
let dir: string
let aheadMs: number

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-beside-'))
  aheadMs = 0
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options = {}) => openLocalStore({ dir, now: () => Date.now() + aheadMs, ...options })

test('who reads a large blob while it is evicted reads it to its end', async () => {
  await using store = await open()
  // For reading only, so that it leaves no mark, which would keep the blob.
  await using other = await open({ readOnly: true })
  const bytes = bytesOf('large', 5 * MIB)
  const digest = digestOf(bytes)
  await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
  aheadMs += 10 * HOUR
  await using reading = await other.blobs.read(DEFAULT_SCOPE, digest)
  const chunks: Uint8Array[] = []
  for await (const chunk of reading ?? []) {
    chunks.push(Uint8Array.from(chunk))
    if (chunks.length === 1) expect((await store.catalog.collect({ targetBytes: 0 })).removedBlobs).toBe(1)
  }
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
  expect(folderBytes(layoutOf(dir).blobs)).toBe(0)
  expect(await other.blobs.read(DEFAULT_SCOPE, digest)).toBeUndefined()
})

test('what somebody began to read is kept, though nobody names it and there is no room', async () => {
  await using store = await open()
  const bytes = bytesOf('large', 2 * MIB)
  const digest = digestOf(bytes)
  await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
  aheadMs += 10 * HOUR
  {
    // Its marks are written when it is done at the latest.
    await using other = await open()
    await using _reading = await other.blobs.read(DEFAULT_SCOPE, digest)
  }
  expect((await store.catalog.collect({ targetBytes: 0 })).removedBlobs).toBe(0)
  expect(await store.blobs.missing(DEFAULT_SCOPE, [digest])).toEqual([])
})

test('what is used or made anew while a collection looks is not taken for what it was', async () => {
  await using store = await open({ evictionPolicy: 'lru' })
  const names = Array.from({ length: 6 }, (_, i) => `e${i}`)
  for (const name of names) await saveEntry(store, name)
  aheadMs += 10 * HOUR
  using index = openIndexDb(layoutOf(dir).index, { readOnly: false, durability: 'fast' })
  const collecting = store.catalog.collect({ targetBytes: 0 })
  // Its census is taken in the turns after this one: as if another process had used one of them between that and the removal.
  await new Promise((resolve) => setImmediate(resolve))
  await index.write(() => {
    const key = Buffer.from(entryOf('e3').key.hash, 'hex')
    index.sql('UPDATE actions SET touched=touched+1 WHERE key=?').run(key)
  })
  await collecting
  const states = await Promise.all(names.map((name) => checkEntry(store, name)))
  expect(states).not.toContain('lost')
  expect(accountErrors(index, layoutOf(dir), { files: true })).toEqual([])
})

test('an interrupted collection is ended by the next, to the same end', async () => {
  const names = Array.from({ length: 24 }, (_, i) => `e${i}`)
  const shape = { ...SMALL, fileBytes: 20_000, largeBytes: 1_100_000 }
  {
    await using store = await open()
    for (const name of names) await saveEntry(store, name, shape)
  }
  aheadMs += 10 * HOUR
  await using store = await open()
  using index = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
  for (let turns = 2; turns < 400; turns += 40) {
    const stop = new AbortController()
    const collecting = store.catalog.collect({ targetBytes: 8 * MIB, signal: stop.signal }).catch((error) => error)
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    stop.abort(new Error('enough'))
    await collecting
    expect(accountErrors(index, layoutOf(dir), { files: false })).toEqual([])
  }
  const report = await store.catalog.collect({ targetBytes: 8 * MIB })
  expect(report.diskBytes).toBeLessThan(8.5 * MIB)
  expect(report.keptActions).toBeGreaterThan(3)
  expect(accountErrors(index, layoutOf(dir), { files: true })).toEqual([])
  const states = await Promise.all(names.map((name) => checkEntry(store, name, shape)))
  expect(states).not.toContain('lost')
  expect(states.filter((state) => state === 'whole')).toHaveLength(report.keptActions)
})

test('a dry run removes, moves and dates nothing', async () => {
  await using store = await open()
  const shape = { ...SMALL, largeBytes: 1_100_000 }
  for (const name of ['a', 'b', 'c']) await saveEntry(store, name, shape)
  aheadMs += 10 * HOUR
  const listing = () =>
    ['journal', 'blobs', 'pins', 'trash', 'tmp'].map((name) => {
      const folder = join(dir, name)
      const there = statSync(folder, { throwIfNoEntry: false }) !== undefined
      return there ? [readdirSync(folder, { recursive: true }).sort(), folderBytes(folder)] : []
    })
  const before = listing()
  const planned = await store.catalog.collect({ dryRun: true, targetBytes: 2 * MIB })
  expect(planned.removedActions).toBeGreaterThan(0)
  expect(planned.removedBlobs).toBeGreaterThan(planned.removedActions)
  expect(planned.freedBytes).toBeGreaterThan(MIB)
  expect(listing()).toEqual(before)
  const done = await store.catalog.collect({ targetBytes: 2 * MIB })
  expect([done.removedActions, done.removedBlobs, done.keptActions]).toEqual([
    planned.removedActions,
    planned.removedBlobs,
    planned.keptActions,
  ])
})
