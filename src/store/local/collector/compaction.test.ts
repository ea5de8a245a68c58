import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkEntry, entryOf, SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { DEFAULT_SCOPE } from '../../contracts.ts'
import { openIndexDb } from '../index-db.ts'
import { createTables } from '../index-schema.ts'
import { layoutOf, segmentPath } from '../layout.ts'
import { type LocalStoreOptions, openLocalStore } from '../local-store.ts'
import { blobKey, decodeBlobPlace } from '../rows.ts'
import { folderBytes } from './quota-usage.ts'
import { forgetLostSegments } from './segment-end.ts'

const HOUR = 3_600_000
const SHAPE = { ...SMALL, fileBytes: 5000, sharedFiles: 0 }
const NAMES = Array.from({ length: 40 }, (_, i) => `e${i}`)
let dir: string
let aheadMs: number

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-compact-'))
  aheadMs = 0
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: Partial<LocalStoreOptions> = {}) =>
  openLocalStore({ dir, now: () => Date.now() + aheadMs, ...options })
type Store = Awaited<ReturnType<typeof open>>

/** The segments that have something in them. */
function segments(): string[] {
  return readdirSync(join(dir, 'journal')).filter((name) => statSync(join(dir, 'journal', name)).size > 0)
}

async function remove(store: Store, names: readonly string[], shape = SHAPE): Promise<void> {
  for (const name of names) await store.actions.remove(DEFAULT_SCOPE, entryOf(name, shape).key)
  aheadMs += 10 * HOUR
}

async function saveAll(names = NAMES, shape = SHAPE): Promise<void> {
  await using store = await open()
  await Promise.all(names.map((name) => saveEntry(store, name, shape)))
}

/** What a store says of the entries that has the journal alone. */
async function statesWithoutIndex(names: readonly string[], shape = SHAPE): Promise<string[]> {
  for (const suffix of ['', '-wal', '-shm']) rmSync(layoutOf(dir).index + suffix, { force: true })
  await using store = await open()
  const states: string[] = []
  for (const name of names) states.push(await checkEntry(store, name, shape))
  return states
}

test('a segment of which a third is dead stays while no room is wanted, and goes when it is', async () => {
  await saveAll()
  const [first] = segments()
  await using store = await open()
  await remove(store, NAMES.slice(0, 13))
  await store.catalog.collect()
  expect(segments()).toContain(first)
  const bytes = folderBytes(dir)
  await store.catalog.collect({ targetBytes: bytes * 0.8 })
  expect(segments()).not.toContain(first)
  expect(folderBytes(dir)).toBeLessThan(bytes * 0.85)
})

test('a segment in which nothing is dead stays however much room is wanted', async () => {
  await saveAll()
  const before = segments()
  await using store = await open()
  for (const name of NAMES) await store.catalog.pin(DEFAULT_SCOPE, entryOf(name, SHAPE).key)
  await store.catalog.collect({ targetBytes: 0 })
  expect(segments()).toEqual(before)
})

test('the most dead goes first, and no more than room is wanted', async () => {
  // Two writers at once have a segment each.
  const others = NAMES.map((name) => `other ${name}`)
  {
    await using one = await open()
    await using two = await open()
    await Promise.all(NAMES.map((name) => saveEntry(one, name, SHAPE)))
    await Promise.all(others.map((name) => saveEntry(two, name, SHAPE)))
  }
  const holds = (names: readonly string[]) => {
    using index = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
    const [blob] = entryOf(names.at(-1) as string, SHAPE).blobs
    const key = blobKey(blob?.digest.hash as string)
    const row = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array
    return decodeBlobPlace(key, row)?.record.segment
  }
  const before = [holds(NAMES), holds(others)]
  expect(before[0]).not.toBe(before[1])
  await using store = await open()
  await remove(store, [...NAMES.slice(0, 8), ...others.slice(0, 16)])
  // Takes the blobs away, and the index's log; the segments stay.
  await store.catalog.collect()
  await store.catalog.collect({ targetBytes: folderBytes(dir) - 300_000 })
  expect(holds(NAMES)).toBe(before[0])
  expect(holds(others)).not.toBe(before[1])
})

test('dead results are not copied', async () => {
  const results = NAMES.map((name) => ({ ...entryOf(name, SHAPE).result, stdoutRaw: Buffer.from(name.repeat(9000)) }))
  const save = async (store: Store, i: number) => {
    const { key, blobs } = entryOf(NAMES[i] as string, SHAPE)
    for (const { digest, bytes } of blobs) await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
    await store.actions.put(DEFAULT_SCOPE, key, results[i] as (typeof results)[number])
  }
  await using store = await open()
  for (let i = 0; i < NAMES.length; i++) await save(store, i)
  const before = folderBytes(join(dir, 'journal'))
  await remove(store, NAMES.slice(5))
  await store.catalog.collect()
  expect(folderBytes(join(dir, 'journal'))).toBeLessThan(before * 0.2)
})

test('what was removed stays removed for who has the journal alone, as long as an older segment has it', async () => {
  await saveAll()
  const [first] = segments()
  {
    await using writer = await open()
    await saveEntry(writer, 'holds the first segment', SHAPE)
    expect(segments()).toEqual([first])
    await using store = await open()
    await remove(store, NAMES.slice(0, 10))
    // Kept by its writer, while the segment with the removals is exchanged.
    for (let round = 0; round < 2; round++) {
      await saveEntry(store, `round ${round}`, SHAPE)
      await remove(store, [`round ${round}`])
      await store.catalog.collect()
    }
    expect(segments()).toContain(first)
  }
  const states = await statesWithoutIndex(NAMES)
  expect(states.slice(0, 10)).toEqual(Array(10).fill('absent'))
  expect(states.slice(10)).toEqual(Array(30).fill('whole'))
})

test('nothing is left of a journal when all that it said is over', async () => {
  await saveAll()
  await using store = await open()
  await remove(store, NAMES)
  await store.catalog.collect({ targetBytes: 0 })
  await store.catalog.collect({ targetBytes: 0 })
  expect(folderBytes(join(dir, 'journal'))).toBeLessThan(100)
})

test('blobs whose record is damaged are missing afterwards, and known to be', async () => {
  await saveAll()
  await using store = await open()
  await remove(store, NAMES.slice(0, 30))
  using index = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
  const last = entryOf('e39', SHAPE)
  const key = blobKey(last.blobs[0]?.digest.hash as string)
  const placeNow = () => {
    const row = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
    return row && decodeBlobPlace(key, row)?.record
  }
  const place = placeNow()
  if (place === undefined) throw new Error('the blob is not there')
  const path = segmentPath(layoutOf(dir), place.segment)
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.from('damage'), 0, 6, place.offset + place.recordBytes - 9)
  closeSync(file)
  const generation = index.generation()
  await store.catalog.collect()
  expect(readdirSync(join(dir, 'journal')).some((name) => path.endsWith(name))).toBe(false)
  expect(placeNow()).toBeUndefined()
  // Who knew it to be there has to look again.
  expect(index.generation()).toBeGreaterThan(generation + 1)
})

test('of the segments that are gone the highest number is remembered', async () => {
  const layout = layoutOf(dir)
  mkdirSync(layout.journal)
  using index = openIndexDb(layout.index, { readOnly: false, durability: 'fast' })
  await createTables(index)
  for (const id of [3, 7, 9]) index.sql('INSERT INTO segments VALUES (?, 100, 0)').run(id)
  await forgetLostSegments(index, layout)
  expect(index.sql('SELECT id FROM segments').all()).toEqual([[9]])
})

test('the index gives back the pages of what was removed', async () => {
  await saveAll(
    Array.from({ length: 150 }, (_, i) => `e${i}`),
    { ...SMALL, fileBytes: 300, sharedFiles: 0 },
  )
  await using store = await open()
  await store.catalog.collect()
  const before = statSync(layoutOf(dir).index).size
  aheadMs += 10 * HOUR
  await store.catalog.collect({ targetBytes: 0 })
  expect(statSync(layoutOf(dir).index).size).toBeLessThan(before / 3)
})
