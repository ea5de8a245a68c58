import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOf, checkEntry, entryOf, SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { asActionDigest } from '../../../digest/digest.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { ActionResult, Directory } from '../../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE } from '../../contracts.ts'
import { openIndexDb } from '../index-db.ts'
import { layoutOf } from '../layout.ts'
import { type LocalStore, type LocalStoreOptions, openLocalStore } from '../local-store.ts'
import { accountsOf } from './accounts.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const YEAR = 365 * DAY
const MIB = 2 ** 20
let dir: string
/** Ahead of the clock of the file system by this. */
let aheadMs: number

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-evict-'))
  aheadMs = 0
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: Partial<LocalStoreOptions> = {}) =>
  openLocalStore({ dir, now: () => Date.now() + aheadMs, ...options })

interface Work {
  readonly bytes: number
  readonly costMs: number
}

function workOf(name: string, { bytes, costMs }: Work) {
  const content = bytesOf(name, bytes)
  const digest = digestOf(content)
  const result: ActionResult = {
    ...ActionResult.decode(Buffer.alloc(0)),
    stdoutDigest: digest,
    executionMetadata: {
      ...{ worker: '', auxiliaryMetadata: [] },
      executionStartTimestamp: { seconds: 0, nanos: 0 },
      executionCompletedTimestamp: { seconds: costMs / 1000, nanos: 0 },
    },
  }
  return { key: asActionDigest(digestOf(Buffer.from(name))), result, digest, content }
}

/** A result with one output, which took so long. */
async function keep(store: LocalStore, name: string, work: Work): Promise<void> {
  const { key, result, digest, content } = workOf(name, work)
  await store.blobs.write(DEFAULT_SCOPE, digest, content)
  await store.actions.put(DEFAULT_SCOPE, key, result)
}

async function isKept(store: LocalStore, name: string): Promise<boolean> {
  return (await store.actions.get(DEFAULT_SCOPE, asActionDigest(digestOf(Buffer.from(name))))).kind === 'hit'
}

async function kept(store: LocalStore, names: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const name of names) if (await isKept(store, name)) found.push(name)
  return found
}

describe('who leaves first', () => {
  const EACH = { bytes: 100_000, costMs: 1000 }

  test('by default what saves the least time for its bytes', async () => {
    await using store = await open()
    await keep(store, 'cheap and large', { bytes: 900_000, costMs: 1000 })
    await keep(store, 'dear and large', { bytes: 900_000, costMs: 600_000 })
    await keep(store, 'cheap and small', { bytes: 10_000, costMs: 1000 })
    await keep(store, 'dear and small', { bytes: 10_000, costMs: 600_000 })
    aheadMs += DAY
    const names = ['cheap and large', 'dear and large', 'cheap and small', 'dear and small']
    await store.catalog.collect({ targetBytes: 1.3 * MIB })
    expect(await kept(store, names)).toEqual(names.slice(1))
    await store.catalog.collect({ targetBytes: 0.4 * MIB })
    // A hundred times as dear by the byte, and used as often: it goes all the same before it does.
    expect(await kept(store, names)).toEqual(['dear and small'])
  })

  test('a process later it is known how often each was used, and the others have aged by what left', async () => {
    const names = ['a', 'b', 'c', 'd']
    {
      await using store = await open({ maxEntries: 4 })
      for (const name of names) await keep(store, name, EACH)
      for (let use = 0; use < 3; use++) {
        aheadMs += 2 * HOUR
        expect(await isKept(store, 'a')).toBe(true)
      }
      aheadMs += DAY
    }
    {
      await using store = await open({ maxEntries: 3 })
      expect((await store.catalog.collect()).removedActions).toBe(1)
      expect(await kept(store, ['a', 'c', 'd'])).toEqual(['a', 'c', 'd'])
    }
    using index = openIndexDb(layoutOf(dir).index, { readOnly: true, durability: 'fast' })
    const { age } = accountsOf(index)
    expect(age).toBeGreaterThan(0)
    // What was used since starts from there.
    expect(index.sql('SELECT clock FROM actions').all().flat()).toEqual([age, age, age])
  })

  test.each(['lru', 'lfu-da'] as const)('%s when that is wanted', async (evictionPolicy) => {
    const meanwhile = async (work: (store: LocalStore) => Promise<unknown>) => {
      // A process each, or the marks of the last one would be written with the time of the collection.
      await using store = await open()
      await work(store)
      aheadMs += 2 * HOUR
    }
    await meanwhile((store) => keep(store, 'often', EACH))
    for (let use = 0; use < 3; use++) await meanwhile((store) => isKept(store, 'often'))
    await meanwhile((store) => keep(store, 'once', EACH))
    await meanwhile((store) => keep(store, 'later', { bytes: 500_000, costMs: 0 }))
    aheadMs += DAY
    await using store = await open({ evictionPolicy, maxEntries: 2 })
    await store.catalog.collect()
    const rest = evictionPolicy === 'lru' ? ['once', 'later'] : ['often', 'later']
    expect(await kept(store, ['often', 'once', 'later'])).toEqual(rest)
  })

  test('what may be in use goes last, however little it is worth', async () => {
    await using store = await open({ maxEntries: 2 })
    await keep(store, 'dear', { bytes: 1000, costMs: 600_000 })
    await keep(store, 'dearer', { bytes: 1000, costMs: 700_000 })
    aheadMs += 2 * HOUR
    await keep(store, 'worthless', { bytes: 900_000, costMs: 1000 })
    aheadMs += HOUR
    await store.catalog.collect()
    expect(await kept(store, ['dear', 'dearer', 'worthless'])).toEqual(['dearer', 'worthless'])
  })

  test('a count is kept by itself, and nothing goes below it', async () => {
    const names = Array.from({ length: 45 }, (_, i) => `e${i}`)
    for (const name of names) {
      await using store = await open({ maxEntries: 20, evictionPolicy: 'lru' })
      await keep(store, name, { bytes: 600, costMs: 0 })
      aheadMs += 3 * HOUR
    }
    await using store = await open()
    const rest = await kept(store, names)
    expect(rest.length).toBeLessThanOrEqual(20)
    expect(rest.length).toBeGreaterThanOrEqual(16)
    expect(rest).toEqual(names.slice(-rest.length))
  })
})

describe('free space of the file system', () => {
  test('that is missing is made, and no more', async () => {
    // Of a disk that others fill as well, so that what is free is only about what it was.
    const { bavail, bsize } = statfsSync(dir)
    const { blocks } = statfsSync(dir)
    const names = ['a', 'b', 'c']
    await using store = await open({ minFreeBytes: Math.min(blocks * bsize, bavail * bsize * 1.2) })
    for (const name of names) await keep(store, name, { bytes: 2_000_000, costMs: 1000 })
    aheadMs += DAY
    const report = await store.catalog.collect()
    expect([report.removedActions, report.keptActions]).toEqual([3, 0])
    await using roomy = await open({ minFreeBytes: 1 })
    for (const name of names) await keep(roomy, name, { bytes: 2_000_000, costMs: 1000 })
    expect((await roomy.catalog.collect()).removedActions).toBe(0)
  })
})

describe('pins', () => {
  const EACH = { bytes: 100_000, costMs: 1000 }
  const keyOf = (name: string) => workOf(name, EACH).key

  test('keep a result with its blobs from any collection, until unpinned', async () => {
    await using store = await open()
    for (const name of ['a', 'b']) await saveEntry(store, name)
    const { key } = entryOf('a')
    await store.catalog.pin(DEFAULT_SCOPE, key)
    aheadMs += YEAR
    expect(await store.catalog.collect({ targetBytes: 0 })).toMatchObject({ removedActions: 1, pinnedActions: 1 })
    expect([await checkEntry(store, 'a'), await checkEntry(store, 'b')]).toEqual(['whole', 'absent'])
    expect(await store.catalog.unpin(DEFAULT_SCOPE, key)).toBe(true)
    expect(await store.catalog.unpin(DEFAULT_SCOPE, key)).toBe(false)
    aheadMs += DAY
    expect(await store.catalog.collect({ targetBytes: 0 })).toMatchObject({ removedActions: 1, pinnedActions: 0 })
  })

  test('survive a lost index, and are listed', async () => {
    {
      await using store = await open()
      for (const name of ['a', 'b']) await keep(store, name, EACH)
      await store.catalog.pin(DEFAULT_SCOPE, keyOf('a'))
    }
    rmSync(layoutOf(dir).index)
    await using store = await open()
    const listed = new Map<string, number | undefined>()
    for await (const { action, pinnedUntilMs } of store.catalog.list()) listed.set(action.hash, pinnedUntilMs)
    expect(listed.get(keyOf('a').hash)).toBe(Number.POSITIVE_INFINITY)
    expect(listed.get(keyOf('b').hash)).toBeUndefined()
    await store.catalog.collect({ targetBytes: 0 })
    expect(await kept(store, ['a', 'b'])).toEqual(['a'])
  })

  test('hold beyond the time to live, and end with a time of their own', async () => {
    await using store = await open({ ttlMs: DAY })
    for (const name of ['a', 'b']) await keep(store, name, EACH)
    await store.catalog.pin(DEFAULT_SCOPE, keyOf('a'), Date.now() + 3 * DAY)
    aheadMs += 2 * DAY
    expect(await kept(store, ['a', 'b'])).toEqual(['a'])
    expect((await store.catalog.collect()).removedActions).toBe(1)
    expect(await kept(store, ['a', 'b'])).toEqual(['a'])
    aheadMs += 2 * DAY
    expect(await kept(store, ['a'])).toEqual([])
    expect(await store.catalog.collect()).toMatchObject({ removedActions: 1, pinnedActions: 0 })
    expect(await store.catalog.unpin(DEFAULT_SCOPE, keyOf('a'))).toBe(false)
  })

  test('are of one instance alone', async () => {
    await using store = await open()
    const { key, result, digest, content } = workOf('a', EACH)
    const other = { ...DEFAULT_SCOPE, instance: 'team/x' }
    await store.blobs.write(DEFAULT_SCOPE, digest, content)
    for (const scope of [DEFAULT_SCOPE, other]) await store.actions.put(scope, key, result)
    await store.catalog.pin(other, key)
    await store.catalog.collect({ targetBytes: 0 })
    expect((await store.actions.get(DEFAULT_SCOPE, key)).kind).toBe('miss')
    expect((await store.actions.get(other, key)).kind).toBe('hit')
  })

  test('change nothing in a cache that is open for reading', async () => {
    {
      await using _made = await open()
    }
    await using store = await open({ readOnly: true })
    await expect(store.catalog.pin(DEFAULT_SCOPE, keyOf('a'))).rejects.toMatchObject({ code: 'store.read-only' })
    await expect(store.catalog.collect()).rejects.toMatchObject({ code: 'store.read-only' })
  })
})

describe('a clock set back by a year', () => {
  test('what is young then is kept, and nothing is for ever', async () => {
    const old = { ...SMALL, largeBytes: 1_200_000 }
    aheadMs = YEAR
    await using store = await open({ ttlMs: 10 * DAY })
    await saveEntry(store, 'before', old)
    const loose = digestOf(bytesOf('loose', 5000))
    await store.blobs.write(DEFAULT_SCOPE, loose, bytesOf('loose', 5000))
    aheadMs = 0
    await saveEntry(store, 'after')
    expect(await store.catalog.collect()).toMatchObject({ removedActions: 0, removedBlobs: 0 })
    expect([await checkEntry(store, 'before', old), await checkEntry(store, 'after')]).toEqual(['whole', 'whole'])
    aheadMs = DAY
    expect(await store.catalog.collect()).toMatchObject({ removedActions: 0, removedBlobs: 1 })
    aheadMs = 11 * DAY
    expect(await store.catalog.collect()).toMatchObject({ removedActions: 2 })
    expect(await store.catalog.usage()).toMatchObject({ actions: 0, blobs: 0 })
  })

  test('a dry run dates nothing', async () => {
    aheadMs = YEAR
    await using store = await open()
    await keep(store, 'a', { bytes: 1000, costMs: 1000 })
    aheadMs = 0
    await store.catalog.collect({ dryRun: true })
    for await (const { createdMs } of store.catalog.list()) expect(createdMs).toBeGreaterThan(Date.now() + 300 * DAY)
    await store.catalog.collect()
    for await (const { createdMs } of store.catalog.list()) expect(createdMs).toBeLessThanOrEqual(Date.now())
  })
})

test('a result that names its outputs by a root directory alone keeps them', async () => {
  await using store = await open()
  const write = async (bytes: Uint8Array) => {
    const digest = digestOf(bytes)
    await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
    return digest
  }
  const empty = Directory.decode(Buffer.alloc(0))
  const file = (name: string, digest: Awaited<ReturnType<typeof write>>) => ({ name, digest, isExecutable: false })
  const inner = await write(bytesOf('inner', 3000))
  const outer = await write(bytesOf('outer', 3000))
  const sub = await write(
    Directory.encode({ ...empty, files: [{ ...file('i', inner), nodeProperties: undefined }] }).finish(),
  )
  const root = await write(
    Directory.encode({
      ...empty,
      files: [{ ...file('o', outer), nodeProperties: undefined }],
      directories: [{ name: 'sub', digest: sub }],
    }).finish(),
  )
  const result: ActionResult = {
    ...ActionResult.decode(Buffer.alloc(0)),
    outputDirectories: [
      { path: 'out', treeDigest: undefined, isTopologicallySorted: false, rootDirectoryDigest: root },
    ],
  }
  const { key } = entryOf('rooted')
  await store.actions.put(DEFAULT_SCOPE, key, result)
  aheadMs += 10 * DAY
  expect((await store.catalog.collect()).removedBlobs).toBe(0)
  {
    await using asking = await open()
    expect(await asking.blobs.missing(DEFAULT_SCOPE, [inner, outer, sub, root])).toEqual([])
  }
  await store.actions.remove(DEFAULT_SCOPE, key)
  aheadMs += 10 * DAY
  expect((await store.catalog.collect()).removedBlobs).toBe(4)
})

test('a target that is none is refused', async () => {
  await using store = await open()
  await expect(store.catalog.collect({ targetBytes: -1 })).rejects.toMatchObject({ code: 'usage' })
  await expect(store.catalog.collect({ targetBytes: Number.NaN })).rejects.toMatchObject({ code: 'usage' })
})
