import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOf, checkEntry, entryOf, SMALL, saveEntry } from '../../../../test/crash/entries.ts'
import { digestOf } from '../../../digest/sha256.ts'
import { DEFAULT_SCOPE } from '../../contracts.ts'
import { openIndexDb } from '../index-db.ts'
import { layoutOf } from '../layout.ts'
import { type LocalStoreOptions, openLocalStore } from '../local-store.ts'
import { blobKey, decodeBlobPlace } from '../rows.ts'
import { unlinkBlobFiles } from './collector-files.ts'
import { folderBytes } from './quota-usage.ts'

const HOUR = 3_600_000
const MIB = 2 ** 20
let dir: string
/** Ahead of the clock of the file system by this. */
let aheadMs: number

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-collect-'))
  aheadMs = 0
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: Partial<LocalStoreOptions> = {}) =>
  openLocalStore({ dir, now: () => Date.now() + aheadMs, ...options })
const BIG = { ...SMALL, files: 8, fileBytes: 60_000, sharedFiles: 1 }

async function kept(store: Awaited<ReturnType<typeof open>>, names: readonly string[], shape = SMALL) {
  const found: string[] = []
  for (const name of names) {
    const state = await checkEntry(store, name, shape)
    if (state === 'lost') throw new Error(`${name} is said to be there and is not`)
    if (state === 'whole') found.push(name)
  }
  return found
}

describe('eviction', () => {
  test('what is least recently used goes until the target is reached, and the disk is free then', async () => {
    await using store = await open({ evictionPolicy: 'lru' })
    const names = Array.from({ length: 20 }, (_, i) => `e${i}`)
    for (const name of names) {
      await saveEntry(store, name, BIG)
      aheadMs += 2 * HOUR
    }
    expect(await checkEntry(store, 'e0', BIG)).toBe('whole')
    const report = await store.catalog.collect({ targetBytes: 4 * MIB })
    expect(report.diskBytes).toBeLessThan(4.4 * MIB)
    // The collector's own lock file says whose it is while it measures.
    expect(report.diskBytes - folderBytes(dir)).toBeGreaterThanOrEqual(0)
    expect(report.diskBytes - folderBytes(dir)).toBeLessThan(64)
    const rest = await kept(store, names, BIG)
    expect(rest).toContain('e0')
    expect(rest).toContain('e19')
    expect(rest).not.toContain('e1')
    expect(report.keptActions).toBe(rest.length)
    expect(report.removedActions).toBe(20 - rest.length)
    // Everything that was kept is in one run at the young end, but for the one that was used again.
    expect(rest.slice(1)).toEqual(names.slice(21 - rest.length))
  })

  test('nothing that fits goes', async () => {
    await using store = await open()
    for (const name of ['a', 'b', 'c']) await saveEntry(store, name)
    aheadMs += 100 * HOUR
    const report = await store.catalog.collect()
    expect([report.removedActions, report.removedBlobs, report.keptActions]).toEqual([0, 0, 3])
    expect(await kept(store, ['a', 'b', 'c'])).toEqual(['a', 'b', 'c'])
  })

  test('all of it may go, and what is saved afterwards is kept', async () => {
    await using store = await open()
    for (const name of ['a', 'b']) await saveEntry(store, name, { ...BIG, largeBytes: 2 * MIB })
    await store.catalog.collect({ targetBytes: 0 })
    expect((await store.catalog.usage()).blobs).toBe(0)
    expect((await store.catalog.usage()).actions).toBe(0)
    expect(readdirSync(join(dir, 'blobs')).flatMap((shard) => readdirSync(join(dir, 'blobs', shard)))).toEqual([])
    await saveEntry(store, 'a', { ...BIG, largeBytes: 2 * MIB })
    expect(await kept(store, ['a', 'b'], { ...BIG, largeBytes: 2 * MIB })).toEqual(['a'])
  })

  test('a dry run says what would go and removes nothing', async () => {
    await using store = await open()
    for (const name of ['a', 'b', 'c']) await saveEntry(store, name, BIG)
    const before = await store.catalog.usage()
    const report = await store.catalog.collect({ targetBytes: 0, dryRun: true })
    expect([report.removedActions, report.keptActions]).toEqual([3, 0])
    expect(report.freedBytes).toBeGreaterThan(MIB)
    expect(await store.catalog.usage()).toMatchObject({ actions: before.actions, blobs: before.blobs })
    expect(await kept(store, ['a', 'b', 'c'], BIG)).toEqual(['a', 'b', 'c'])
  })

  test('what is older than its time goes first, whatever room there is', async () => {
    await using store = await open({ ttlMs: 10 * HOUR })
    await saveEntry(store, 'old')
    aheadMs += 11 * HOUR
    await saveEntry(store, 'new')
    const report = await store.catalog.collect()
    expect([report.removedActions, report.keptActions]).toEqual([1, 1])
    expect(await kept(store, ['old', 'new'])).toEqual(['new'])
  })

  test('results that are large themselves count with what they take', async () => {
    await using store = await open({ evictionPolicy: 'lru' })
    const names = Array.from({ length: 12 }, (_, i) => `e${i}`)
    for (const name of names) {
      const { key, result } = entryOf(name)
      const outputs = { outputDirectories: [], outputFiles: [] }
      await store.actions.put(DEFAULT_SCOPE, key, { ...result, ...outputs, stdoutRaw: Buffer.alloc(200_000, name) })
      aheadMs += 2 * HOUR
    }
    const { diskBytes } = await store.catalog.collect()
    expect((await store.catalog.collect({ targetBytes: diskBytes - 500_000 })).removedActions).toBe(3)
  })

  test('a limit of blobs alone is kept too', async () => {
    await using store = await open({ maxCasBytes: 2 * MIB })
    for (let i = 0; i < 12; i++) await saveEntry(store, `e${i}`, BIG)
    await store.catalog.collect()
    expect(folderBytes(join(dir, 'journal')) + folderBytes(join(dir, 'blobs'))).toBeLessThan(2.1 * MIB)
    expect((await store.catalog.usage()).actions).toBeGreaterThan(1)
  })
})

describe('blobs that nobody names', () => {
  const { digest, bytes } = entryOf('loose').blobs[5] as { digest: { hash: string; sizeBytes: number }; bytes: Buffer }

  test('stay for the grace period, and go after it', async () => {
    await using store = await open()
    await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
    aheadMs += HOUR
    expect((await store.catalog.collect()).removedBlobs).toBe(0)
    aheadMs += 3 * HOUR
    expect((await store.catalog.collect()).removedBlobs).toBe(1)
    expect(await store.blobs.missing(DEFAULT_SCOPE, [digest])).toEqual([digest])
  })

  test('stay for minutes only, where there is no room', async () => {
    await using store = await open()
    await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
    aheadMs += 240_000
    expect((await store.catalog.collect({ targetBytes: 0 })).removedBlobs).toBe(0)
    aheadMs += 120_000
    expect((await store.catalog.collect({ targetBytes: 0 })).removedBlobs).toBe(1)
  })

  test('asking for one begins the grace period anew', async () => {
    {
      await using store = await open()
      await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
    }
    aheadMs += 4 * HOUR
    {
      await using store = await open()
      expect(await store.blobs.missing(DEFAULT_SCOPE, [digest])).toEqual([])
    }
    await using store = await open()
    expect((await store.catalog.collect()).removedBlobs).toBe(0)
  })

  test('so does asking the process that wrote it, hours later', async () => {
    {
      await using store = await open()
      await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
      expect(await store.blobs.missing(DEFAULT_SCOPE, [digest])).toEqual([])
      aheadMs += 2 * HOUR
      expect(await store.blobs.missing(DEFAULT_SCOPE, [digest])).toEqual([])
    }
    aheadMs += 2 * HOUR
    await using store = await open()
    expect((await store.catalog.collect()).removedBlobs).toBe(0)
    aheadMs += 2 * HOUR
    expect((await store.catalog.collect()).removedBlobs).toBe(1)
  })

  test('Action, Command and Directories of a kept result are named', async () => {
    await using store = await open()
    await saveEntry(store, 'a')
    aheadMs += 100 * HOUR
    await store.catalog.collect()
    expect(
      await store.blobs.missing(
        DEFAULT_SCOPE,
        entryOf('a').blobs.map((blob) => blob.digest),
      ),
    ).toEqual([])
  })

  test('a blob that another result still names stays when one is evicted', async () => {
    await using store = await open()
    for (const name of ['old', 'new']) {
      await saveEntry(store, name, BIG)
      aheadMs += 10 * HOUR
    }
    await store.catalog.collect({ targetBytes: 0.7 * MIB })
    expect(await kept(store, ['old', 'new'], BIG)).toEqual(['new'])
  })
})

describe('the folder', () => {
  test('old trash goes, young trash stays within its bound', async () => {
    await using store = await open({ maxCacheBytes: 10 * MIB })
    const trash = join(dir, 'trash')
    mkdirSync(join(trash, 'old'), { recursive: true })
    writeFileSync(join(trash, 'old', 'file'), Buffer.alloc(1000))
    aheadMs += 8 * 24 * HOUR
    await store.catalog.collect()
    expect(existsSync(join(trash, 'old'))).toBe(false)
    aheadMs = 0
    for (const name of ['first', 'second']) writeFileSync(join(trash, name), Buffer.alloc(0.8 * MIB))
    utimesSync(join(trash, 'first'), 1, 1)
    await store.catalog.collect()
    expect(readdirSync(trash)).toHaveLength(1)
  })

  test('lock files that nobody holds go, held ones stay', async () => {
    await using store = await open()
    writeFileSync(join(dir, 'locks', 'left-behind'), '')
    await using _held = await store.leases.hold('held')
    await store.catalog.collect()
    expect(existsSync(join(dir, 'locks', 'left-behind'))).toBe(false)
    expect(existsSync(join(dir, 'locks', 'held'))).toBe(true)
  })

  test('what was staged before the clock was set back does not stay until the clock is there again', async () => {
    await using store = await open()
    const path = join(dir, 'tmp', 'stream-left')
    mkdirSync(join(dir, 'tmp'), { recursive: true })
    writeFileSync(path, 'left')
    utimesSync(path, 4e9, 4e9)
    await store.catalog.collect()
    expect(statSync(path).mtimeMs).toBeLessThanOrEqual(Date.now())
    aheadMs += 25 * HOUR
    await store.catalog.collect()
    expect(existsSync(path)).toBe(false)
  })

  test('the file of a large blob goes with it, though the clock was set back since', async () => {
    await using store = await open()
    const shape = { ...SMALL, largeBytes: 1_200_000 }
    await saveEntry(store, 'a', shape)
    const blobs = join(dir, 'blobs')
    const [name] = readdirSync(blobs, { recursive: true }).filter((path) => String(path).length > 60)
    utimesSync(join(blobs, String(name)), 4e9, 4e9)
    aheadMs += 10 * HOUR
    await store.catalog.collect({ targetBytes: 0 })
    expect(folderBytes(blobs)).toBe(0)
  })

  test('the file of a blob that somebody brought back meanwhile stays', async () => {
    await using store = await open()
    const bytes = bytesOf('large', 1_200_000)
    const digest = digestOf(bytes)
    await store.blobs.write(DEFAULT_SCOPE, digest, bytes)
    const layout = layoutOf(dir)
    using index = openIndexDb(layout.index, { readOnly: false, durability: 'fast' })
    const place = decodeBlobPlace(
      blobKey(digest.hash),
      index.sql('SELECT place FROM blobs WHERE hash=?').get(blobKey(digest.hash))?.[0] as Uint8Array,
    )
    if (place?.kind !== 'file') throw new Error('it is in a file')
    await unlinkBlobFiles(index, layout, [{ hash: digest.hash, place }], Date.now() + HOUR)
    expect(folderBytes(layout.blobs)).toBe(place.storedBytes)
    await index.write(() => index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(digest.hash)))
    await unlinkBlobFiles(index, layout, [{ hash: digest.hash, place }], Date.now() + HOUR)
    expect(folderBytes(layout.blobs)).toBe(0)
  })

  test('a file of a blob that no row names goes when it is old', async () => {
    await using store = await open()
    const shard = join(dir, 'blobs', 'ab')
    mkdirSync(shard, { recursive: true })
    const path = join(shard, 'ab'.repeat(32))
    writeFileSync(path, 'orphan')
    await store.catalog.collect()
    expect(existsSync(path)).toBe(true)
    aheadMs += HOUR
    await store.catalog.collect()
    expect(existsSync(path)).toBe(false)
  })
})

describe('by itself', () => {
  test('a writer who passes the high mark collects when it is done', async () => {
    const names = Array.from({ length: 14 }, (_, i) => `e${i}`)
    for (const name of names) {
      await using store = await open({ maxCacheBytes: 4 * MIB })
      await saveEntry(store, name, BIG)
    }
    expect(folderBytes(dir)).toBeLessThan(4 * MIB)
    await using store = await open()
    const rest = await kept(store, names, BIG)
    expect(rest.length).toBeGreaterThan(3)
    expect(rest).toEqual(names.slice(-rest.length))
  })

  test('within the quota nothing is touched', async () => {
    for (const name of ['a', 'b']) {
      await using store = await open({ maxCacheBytes: 4 * MIB })
      await saveEntry(store, name, BIG)
    }
    await using store = await open()
    expect(await kept(store, ['a', 'b'], BIG)).toEqual(['a', 'b'])
  })

  test('while another process collects, it is left to that', async () => {
    await using other = await open()
    await using _ = await other.leases.hold('collector')
    {
      await using store = await open({ maxCacheBytes: MIB })
      for (const name of ['a', 'b', 'c']) await saveEntry(store, name, BIG)
    }
    expect(await kept(other, ['a', 'b', 'c'], BIG)).toEqual(['a', 'b', 'c'])
  })
})

describe('beside others', () => {
  test('aborted, it stops, and the store is whole', async () => {
    await using store = await open()
    const names = Array.from({ length: 30 }, (_, i) => `e${i}`)
    for (const name of names) await saveEntry(store, name, BIG)
    const stop = new AbortController()
    const collecting = store.catalog.collect({ targetBytes: 0, signal: stop.signal })
    setImmediate(() => stop.abort(new Error('enough')))
    await expect(collecting).rejects.toThrow()
    await kept(store, names, BIG)
    await store.catalog.collect({ targetBytes: 0 })
    expect((await store.catalog.usage()).actions).toBe(0)
  })

  test('what is put while it runs is kept whole', async () => {
    await using store = await open()
    await using other = await open()
    const old = Array.from({ length: 30 }, (_, i) => `e${i}`)
    for (const name of old) await saveEntry(store, name, BIG)
    aheadMs += 10 * HOUR
    const collecting = store.catalog.collect({ targetBytes: 2 * MIB })
    const fresh: string[] = []
    // The same entries again: their blobs are there, and are being removed.
    for (const name of old.slice(0, 20))
      await saveEntry(other, name, BIG).then(
        () => fresh.push(name),
        (error) => expect(error.code).toBe('store.incomplete'),
      )
    await collecting
    expect(await kept(other, fresh, BIG)).toEqual(fresh)
    expect(await kept(store, fresh, BIG)).toEqual(fresh)
  })
})

describe('compaction', () => {
  test('what lives is copied out of segments that are mostly dead, with one blob of a pack or all', async () => {
    await using store = await open()
    const names = Array.from({ length: 40 }, (_, i) => `e${i}`)
    // All in one turn, so that entries share packs.
    await Promise.all(names.map((name) => saveEntry(store, name, { ...SMALL, fileBytes: 5000 })))
    const before = folderBytes(join(dir, 'journal'))
    for (const [i, name] of names.entries())
      if (i % 5 !== 0) await store.actions.remove(DEFAULT_SCOPE, entryOf(name, { ...SMALL, fileBytes: 5000 }).key)
    aheadMs += 10 * HOUR
    await store.catalog.collect()
    expect(folderBytes(join(dir, 'journal'))).toBeLessThan(before * 0.35)
    const rest = names.filter((_, i) => i % 5 === 0)
    expect(await kept(store, names, { ...SMALL, fileBytes: 5000 })).toEqual(rest)
    // A second one finds nothing to do.
    const segments = readdirSync(join(dir, 'journal'))
    await store.catalog.collect()
    expect(readdirSync(join(dir, 'journal'))).toEqual(segments)
  })

  test('segment numbers are not used twice', async () => {
    await using store = await open()
    const numbers = new Set<string>()
    for (let i = 0; i < 3; i++) {
      await saveEntry(store, `e${i}`, BIG)
      const [segment] = readdirSync(join(dir, 'journal')).filter(
        (name) => statSync(join(dir, 'journal', name)).size > 1000,
      )
      expect(numbers.has(segment as string)).toBe(false)
      numbers.add(segment as string)
      await store.catalog.collect({ targetBytes: 0 })
    }
  })
})
