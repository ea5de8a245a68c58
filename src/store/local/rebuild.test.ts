import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkEntry, entryOf, SMALL, saveEntry } from '../../../test/crash/entries.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { type LocalStoreOptions, openLocalStore } from './local-store.ts'
import { decodeActionRow, decodeBlobPlace } from './rows.ts'
import { scanSegment } from './salvage.ts'

const SHAPE = { ...SMALL, fileBytes: 700, largeBytes: 1_200_000 }
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-rebuild-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: Partial<LocalStoreOptions> = {}) => openLocalStore({ dir, ...options })
const segment = () => join(dir, 'journal', '00000001.seg')

function loseIndex() {
  for (const suffix of ['', '-wal', '-shm']) rmSync(join(dir, `index.db${suffix}`), { force: true })
}

/** All that the index says of actions and blobs, whether or not a copy of a small one is inline, or a file was looked at. */
function contentOfIndex() {
  const db = new DatabaseSync(join(dir, 'index.db'))
  const blobs = db
    .prepare('SELECT hash, place FROM blobs ORDER BY hash')
    .all()
    .map(({ hash, place }) => {
      const found = decodeBlobPlace(hash as Uint8Array, place as Uint8Array)
      if (found?.kind === 'file') return { ...found, verified: undefined }
      if (found?.kind !== 'inline') return found
      const { bytes: _, ...rest } = found
      return { ...rest, kind: 'pack' }
    })
  const actions = db
    .prepare('SELECT key, value FROM actions ORDER BY key')
    .all()
    .map(({ key, value }) => {
      // Of what trees name only a reader knows.
      return { ...decodeActionRow(key as Uint8Array, value as Uint8Array), contentBytes: 0 }
    })
  const segments = db.prepare('SELECT id, indexed FROM segments ORDER BY id').all()
  db.close()
  return { blobs, actions, segments }
}

describe('an index that is lost', () => {
  test('is built again entry for entry, after puts, replacements, removals and collections', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `e${i}`)
    {
      await using first = await open()
      await using second = await open()
      for (const [i, name] of names.entries()) await saveEntry(i % 2 ? first : second, name, SHAPE)
      const { key, result } = entryOf('e3', SHAPE)
      await first.actions.put(DEFAULT_SCOPE, key, { ...result, exitCode: 3 })
      await second.actions.put(DEFAULT_SCOPE, key, result)
      await first.actions.remove(DEFAULT_SCOPE, entryOf('e4', SHAPE).key)
      await second.actions.remove(DEFAULT_SCOPE, entryOf('e5', SHAPE).key)
      await saveEntry(first, 'e5', SHAPE)
      await first.catalog.collect({ targetBytes: 8 * 2 ** 20 })
      await saveEntry(second, 'e0', SHAPE)
    }
    const before = contentOfIndex()
    expect(before.actions.length).toBeGreaterThan(2)
    expect(before.actions.length).toBeLessThan(12)
    loseIndex()
    {
      await using store = await open()
      for (const name of names) expect(await checkEntry(store, name, SHAPE)).not.toBe('lost')
      expect(await checkEntry(store, 'e0', SHAPE)).toBe('whole')
    }
    expect(contentOfIndex()).toEqual(before)
  })

  test('what was removed stays away', async () => {
    {
      await using store = await open()
      for (const name of ['a', 'b']) await saveEntry(store, name, SHAPE)
      await store.catalog.collect({ targetBytes: 0 })
    }
    loseIndex()
    await using store = await open()
    expect((await store.catalog.usage()).actions).toBe(0)
    expect((await store.catalog.usage()).blobs).toBe(0)
  })

  test('what was removed in one segment and written in another comes back only if that was later', async () => {
    {
      // Every record has a time of its own.
      let tick = Date.now()
      await using first = await open({ now: () => tick++ })
      await using second = await open({ now: () => tick++ })
      await saveEntry(first, 'gone')
      await saveEntry(first, 'back')
      const removed = ['gone', 'back'].map((name) => second.actions.remove(DEFAULT_SCOPE, entryOf(name).key))
      await Promise.all(removed)
      await saveEntry(first, 'back')
    }
    loseIndex()
    await using store = await open()
    expect(await checkEntry(store, 'gone')).toBe('absent')
    expect(await checkEntry(store, 'back')).toBe('whole')
  })

  test('a large blob whose file is gone is missing, and the rest is there', async () => {
    {
      await using store = await open()
      for (const name of ['a', 'b']) await saveEntry(store, name, SHAPE)
    }
    const large = entryOf('a', SHAPE).blobs.at(-1)?.digest.hash as string
    rmSync(join(dir, 'blobs', large.slice(0, 2), large))
    loseIndex()
    await using store = await open()
    expect(await checkEntry(store, 'a', SHAPE)).toBe('absent')
    expect(await checkEntry(store, 'b', SHAPE)).toBe('whole')
  })
})

describe('a scan', () => {
  async function filled() {
    await using store = await open()
    for (let i = 0; i < 8; i++) await saveEntry(store, `e${i}`)
    return [...scanSegment(segment(), 1)]
  }

  test('finds all records, end to end', async () => {
    const found = await filled()
    expect(found.length).toBe(16)
    let at = 0
    for (const { place, afterGap } of found) {
      expect([place.offset, afterGap]).toEqual([at, false])
      at += place.recordBytes
    }
    expect(at).toBe(statSync(segment()).size)
  })

  test('goes over any damage, and loses no record but those it touches', async () => {
    const found = await filled()
    const original = readFileSync(segment())
    const damage = fc.record({
      at: fc.nat(original.length - 1),
      length: fc.integer({ min: 1, max: 3000 }),
      with: fc.constantFrom('zero', 'flip', 'magic'),
    })
    fc.assert(
      fc.property(damage, (one) => {
        const bytes = Buffer.from(original)
        const end = Math.min(one.at + one.length, bytes.length)
        for (let i = one.at; i < end; i++)
          bytes[i] =
            one.with === 'zero' ? 0 : one.with === 'flip' ? (bytes[i] as number) ^ 255 : 'RCU1'.charCodeAt(i % 4)
        writeFileSync(segment(), bytes)
        const after = new Map([...scanSegment(segment(), 1)].map((record) => [record.place.offset, record]))
        for (const { place, record } of found)
          if (place.offset >= end || place.offset + place.recordBytes <= one.at)
            expect(after.get(place.offset)?.record).toEqual(record)
      }),
      { numRuns: 150 },
    )
  })

  test('a torn end costs the last record', async () => {
    const found = await filled()
    truncateSync(segment(), statSync(segment()).size - 1)
    expect([...scanSegment(segment(), 1)]).toEqual(found.slice(0, -1))
  })
})
