import { spawnSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { checkEntry, type EntryShape, SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { openIndexDb } from '../index-db.ts'
import { layoutOf } from '../layout.ts'
import { openLocalStore } from '../local-store.ts'
import { accountErrors } from './accounts.ts'
import { quotaOf } from './quota.ts'
import { keepReserve, RESERVE_BYTES } from './reserve.ts'

const MIB = 2 ** 20
const DISK_BYTES = 16 * MIB
const SHAPE: EntryShape = { ...SMALL, fileBytes: 60_000 }
const DAY = 24 * 3_600_000
let disk: string
let isMounted = false

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'recue-full-'))
  isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk]).status === 0
})
afterEach(() => {
  if (isMounted) spawnSync('umount', ['-l', disk])
  rmSync(disk, { recursive: true, force: true })
})

/** Takes every byte that is left. */
function fillUp(): void {
  const file = openSync(join(disk, 'ballast'), 'a')
  try {
    for (const piece of [65_536, 4096, 1]) {
      const bytes = Buffer.alloc(piece)
      for (let written = piece; written === piece; ) {
        try {
          written = writeSync(file, bytes)
        } catch {
          break
        }
      }
    }
  } finally {
    closeSync(file)
  }
}

async function statesWithoutIndex(dir: string, names: readonly string[], shape: EntryShape): Promise<string[]> {
  const copy = mkdtempSync(join(tmpdir(), 'recue-copy-'))
  onTestFinished(() => rmSync(copy, { recursive: true, force: true }))
  cpSync(dir, copy, { recursive: true })
  for (const suffix of ['', '-wal', '-shm']) rmSync(layoutOf(copy).index + suffix, { force: true })
  await using store = await openLocalStore({ dir: copy })
  const states: string[] = []
  for (const name of names) states.push(await checkEntry(store, name, shape))
  return states
}

test.for([
  ['small blobs', SHAPE],
  ['large blobs', { ...SHAPE, largeBytes: 1_300_000 }],
] as const)('a collection makes room on a disk without a free byte: %s', async ([_name, shape], { skip }) => {
  if (!isMounted) console.log('skipped: a tmpfs cannot be mounted here (a collection on a full disk)')
  skip(!isMounted, 'a tmpfs cannot be mounted here')
  const dir = join(disk, 'cache')
  mkdirSync(dir)
  let aheadMs = 0
  const options = { dir, maxCacheBytes: DISK_BYTES, now: () => Date.now() + aheadMs }
  const names = Array.from({ length: 100 }, (_, i) => `e${i}`)
  const saved: string[] = []
  for (const name of names) {
    await using store = await openLocalStore(options)
    const isFull = await saveEntry(store, name, shape).then(
      () => false,
      () => true,
    )
    if (isFull) break
    saved.push(name)
    if (saved.length * (shape.files * shape.fileBytes + shape.largeBytes) > 5 * MIB) break
  }
  expect(existsSync(join(dir, 'reserve'))).toBe(true)
  await using store = await openLocalStore(options)
  // With a log of the index that is in use, as another process that reads may leave it.
  using reader = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
  fillUp()
  expect(statfsSync(disk).bavail).toBe(0)
  await expect(saveEntry(store, 'more', shape)).rejects.toMatchObject({ code: 'store.full' })
  aheadMs = DAY
  const before = statfsSync(disk)
  const report = await store.catalog.collect({ targetBytes: 3 * MIB })
  expect(report.removedActions).toBeGreaterThan(0)
  expect(report.keptActions).toBeGreaterThan(0)
  const freed = (statfsSync(disk).bavail - before.bavail) * before.bsize
  // Half a mebibyte of it went into the reserve again.
  expect(freed).toBeGreaterThan(1.2 * MIB)
  const states: string[] = []
  for (const name of saved) states.push(await checkEntry(store, name, shape))
  expect(new Set(states)).toEqual(new Set(['whole', 'absent']))
  // And so says the journal alone: what lives was not lost on the way to where it is now.
  expect(await statesWithoutIndex(dir, saved, shape)).toEqual(states)
  await store.catalog.collect({ targetBytes: 0 })
  expect(accountErrors(reader, layoutOf(dir), { files: true })).toEqual([])
  await saveEntry(store, 'after', shape)
  expect(await checkEntry(store, 'after', shape)).toBe('whole')
})

test('a small disk has a small quota, and no reserve once it is nearly full', ({ skip }) => {
  skip(!isMounted, 'a tmpfs cannot be mounted here')
  expect(quotaOf(disk).maxCacheBytes).toBe(DISK_BYTES / 10)
  const layout = layoutOf(disk)
  const freeBytes = () => statfsSync(disk).bavail * statfsSync(disk).bsize
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(freeBytes() - 1.5 * RESERVE_BYTES))
  keepReserve(layout)
  expect(existsSync(join(disk, 'reserve'))).toBe(false)
  truncateSync(join(disk, 'ballast'), 0)
  keepReserve(layout)
  expect(existsSync(join(disk, 'reserve'))).toBe(true)
})

test('who finds the disk full makes room for the next', async ({ skip }) => {
  skip(!isMounted, 'a tmpfs cannot be mounted here')
  const dir = join(disk, 'cache')
  mkdirSync(dir)
  let aheadMs = 0
  const options = { dir, maxCacheBytes: DISK_BYTES, now: () => Date.now() + aheadMs }
  const shape = { ...SHAPE, largeBytes: 1_300_000 }
  {
    await using store = await openLocalStore(options)
    for (const name of ['a', 'b', 'c']) await saveEntry(store, name, shape)
  }
  {
    await using store = await openLocalStore(options)
    fillUp()
    aheadMs = DAY
    await expect(saveEntry(store, 'more', shape)).rejects.toMatchObject({ code: 'store.full' })
  }
  {
    await using store = await openLocalStore(options)
    await saveEntry(store, 'more', SHAPE)
    expect(await checkEntry(store, 'more', SHAPE)).toBe('whole')
    const states = await Promise.all(['a', 'b', 'c'].map((name) => checkEntry(store, name, shape)))
    expect(new Set(states)).toEqual(new Set(['whole', 'absent']))
  }
  // Without a byte for what processes share, it is not the permissions.
  fillUp()
  await expect(openLocalStore(options)).rejects.toMatchObject({ code: 'store.full' })
})

test('a reserve is kept where little is free, and no larger than it has to be', async ({ skip }) => {
  skip(!isMounted, 'a tmpfs cannot be mounted here')
  const dir = join(disk, 'cache')
  {
    await using store = await openLocalStore({ dir, maxCacheBytes: DISK_BYTES })
    await saveEntry(store, 'a')
  }
  const file = openSync(join(dir, 'reserve'), 'r+')
  ftruncateSync(file, 10)
  closeSync(file)
  await using store = await openLocalStore({ dir, maxCacheBytes: DISK_BYTES })
  await store.catalog.collect()
  expect((await store.catalog.usage()).diskBytes).toBeGreaterThan(RESERVE_BYTES)
  rmSync(join(dir, 'reserve'))
  // Where there is nothing to keep it from, none is made.
  fillUp()
  await store.catalog.collect()
  expect(existsSync(join(dir, 'reserve'))).toBe(false)
})
