import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { type EntryShape, SMALL, saveEntry } from './entries.ts'
import { type Runtime, startWorker } from './processes.ts'
import { entriesOfStore, expectTidy } from './store-checks.ts'

/** How many times as often; RECUE_CRASH_MORE=10 for a long run. */
const MORE = Number(process.env.RECUE_CRASH_MORE ?? 1)
const SHAPE: EntryShape = { ...SMALL, fileBytes: 3000 }
const WITH_LARGE: EntryShape = { ...SHAPE, largeBytes: 1_300_000 }
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-crash-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Starts it, lets it work for some random milliseconds, and kills it. What it had said until then. */
async function killed(args: readonly string[], mostMs: number, runtime: Runtime = 'node'): Promise<string[]> {
  const worker = startWorker(args, runtime)
  await worker.said('ready')
  await pause(Math.random() * mostMs)
  worker.child.kill('SIGKILL')
  const { signal, code, stderr } = await worker.ended
  expect([signal ?? code, stderr]).toEqual([signal === null ? 0 : 'SIGKILL', ''])
  return worker.lines
}

const savedIn = (lines: readonly string[]) =>
  lines.flatMap((line) => (line.startsWith('saved ') ? [line.slice('saved '.length)] : []))

describe('killed in a save', () => {
  test.each([
    ['small blobs', SHAPE, 8, 'node'],
    ['large blobs', WITH_LARGE, 6, 'node'],
    ['large blobs, in Bun', WITH_LARGE, 4, 'bun'],
  ] as const)('%s: what was acknowledged is there, everything there is whole', async (_name, shape, times, runtime) => {
    const all: string[] = []
    const acknowledged: string[] = []
    for (let i = 0; i < times * MORE; i++) {
      const lines = await killed([dir, 'save', `k${i}`, '200', String(shape.largeBytes)], 150, runtime)
      const saved = savedIn(lines)
      acknowledged.push(...saved)
      // The one after the last that it spoke of may be there or not.
      all.push(...saved, `k${i}-${saved.length}`)
      expect(await entriesOfStore(dir, saved, shape)).toEqual(saved)
    }
    const there = await entriesOfStore(dir, all, shape)
    expect(there).toEqual(expect.arrayContaining(acknowledged))
    await expectTidy(dir)
    expect(await entriesOfStore(dir, all, shape)).toEqual(there)
  })
})

describe('killed in a collection', () => {
  test.each([
    ['small blobs', SHAPE, 8],
    ['large blobs', WITH_LARGE, 2],
  ])('%s: every entry is whole or absent, and the next collection ends it', async (_name, shape, times) => {
    const original = join(dir, 'original')
    const names = Array.from({ length: 40 }, (_, i) => `e${i}`)
    {
      await using store = await openLocalStore({ dir: original })
      for (const name of names) await saveEntry(store, name, shape)
    }
    for (let i = 0; i < times * MORE; i++) {
      const copy = join(dir, `copy-${i}`)
      cpSync(original, copy, { recursive: true })
      await killed([copy, 'collect', '', '7'], 120)
      const there = await entriesOfStore(copy, names, shape)
      await expectTidy(copy)
      expect(await entriesOfStore(copy, names, shape)).toEqual(there)
      // Only what was taken from the index and not yet written to the journal when it was killed may come back, whole.
      loseIndex(copy)
      expect(await entriesOfStore(copy, names, shape)).toEqual(expect.arrayContaining(there))
      const left = await collected(copy, names, shape)
      loseIndex(copy)
      expect(await entriesOfStore(copy, names, shape)).toEqual(left)
      rmSync(copy, { recursive: true })
    }
  })
})

/** What the index says can be built again. */
function loseIndex(copy: string): void {
  for (const name of ['index.db', 'index.db-wal', 'index.db-shm']) rmSync(join(copy, name), { force: true })
}

/** The entries that are left by a collection that nobody disturbs and that has something to do. */
async function collected(copy: string, names: readonly string[], shape: EntryShape): Promise<string[]> {
  {
    await using store = await openLocalStore({ dir: copy })
    const { diskBytes } = await store.catalog.usage()
    await store.catalog.collect({ targetBytes: diskBytes * 0.7 })
  }
  return await entriesOfStore(copy, names, shape)
}
