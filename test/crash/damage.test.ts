import { fork } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isWell } from '../../src/operate/fault.ts'
import { inspectStore } from '../../src/operate/inspect.ts'
import { repairStore } from '../../src/operate/repair.ts'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { Bench } from '../fixtures/commands.ts'
import { makeStores, NAMES, readEverything, type Stores, saveEverything } from './damaged-store.ts'
import { type Damage, damages, inflict, targetsIn } from './damages.ts'
import { SMALL, saveEntry } from './entries.ts'

/** RECUE_DAMAGES=5000 for a long run; the seed of a failure is in its message. */
const RUNS = Number(process.env.RECUE_DAMAGES ?? 80)

let stores: Stores
beforeAll(async () => {
  stores = await makeStores()
})
afterAll(() => stores[Symbol.dispose]())

/** Two pages of the journal exchanged: whole records lie within ones that are damaged. */
const MOVED_RECORDS: Damage = { kind: 'swap', file: 5, at: 1_073_741_820, other: 843_117_742, length: 1, unit: 'page' }

/** Shrunk to the simplest damage that does it. */
function forAll(what: 'contents' | 'any', share: number, check: (damage: Damage, from: string) => Promise<void>) {
  const property = fc.asyncProperty(damages(what), fc.boolean(), (damage, wasKilled) =>
    check(damage, wasKilled ? stores.killed : stores.closed),
  )
  return fc.assert(property, {
    examples: [[MOVED_RECORDS, false]],
    numRuns: Math.ceil(RUNS * share),
    endOnFailure: RUNS > 500,
  })
}

async function withCopy(from: string, damage: Damage, use: (dir: string, what: string) => Promise<void>) {
  const dir = stores.copy(from)
  const what = inflict(dir, damage, { olderDir: stores.older })
  try {
    await use(dir, what)
  } catch (error) {
    throw new Error(what, { cause: error })
  } finally {
    rmSync(dir, { recursive: true })
  }
}

describe('any damage of a closed store', () => {
  test('no wrong bytes and no exception; then it is written to again, and all is there', async () => {
    await forAll('any', 1, (damage, from) =>
      withCopy(from, damage, async (dir) => {
        if ((await readEverything(dir)) === undefined) return
        await readEverything(dir)
        await saveEverything(dir)
        expect(await saveEverything(dir)).toEqual([])
        expect(await readEverything(dir)).toEqual(NAMES)
      }),
    )
  })

  test('the doctor sees it, a repair mends it, and loses nothing that could be read', async () => {
    await forAll('any', 0.5, (damage, from) =>
      withCopy(from, damage, async (dir) => {
        const twin = stores.copy(dir)
        await readEverything(twin)
        const readable = await readEverything(twin)
        const { found, left } = await repairStore(dir)
        const isSeen = !isWell(found) || found.unfinished.length > 0
        if (!isSeen) expect(readable).toEqual(NAMES)
        if (left !== undefined) expect([left.faults, left.lost.results, left.unfinished]).toEqual([[], [], []])
        const after = await readEverything(dir)
        const isRefused = found.faults.some((fault) => fault.kind === 'folder' && !fault.isMendable)
        if (!isRefused) expect(after).toEqual(expect.arrayContaining(readable ?? []))
        // A second one has nothing to do.
        expect((await repairStore(dir)).left).toBeUndefined()
        rmSync(twin, { recursive: true })
      }),
    )
  })
})

test.each([{ chunking: 'fastcdc' }, { hardLink: true }] as const)(
  'any damage of a closed store whose large blobs are kept otherwise: %o',
  async (options) => {
    using others = await makeStores(options)
    const property = fc.asyncProperty(damages('any'), fc.boolean(), async (damage, wasKilled) => {
      const dir = others.copy(wasKilled ? others.killed : others.closed)
      const what = inflict(dir, damage, { olderDir: others.older })
      if ((await readEverything(dir)) !== undefined) {
        await readEverything(dir)
        await saveEverything(dir, options)
        expect(await saveEverything(dir, options), what).toEqual([])
        expect(await readEverything(dir), what).toEqual(NAMES)
      }
      const { left } = await repairStore(dir)
      if (left !== undefined) expect([left.faults, left.unfinished], what).toEqual([[], []])
      rmSync(dir, { recursive: true })
    })
    await fc.assert(property, { numRuns: Math.ceil(RUNS / 4), endOnFailure: RUNS > 500 })
  },
)

test('contents damaged under a process that has the store open: no wrong bytes, no exception', async () => {
  const holder = fork(join(import.meta.dirname, 'damage-holder.ts'))
  const said = async () => (await once(holder, 'message'))[0] as unknown
  await forAll('contents', 0.5, async (damage, from) => {
    const dir = stores.copy(from)
    holder.send(dir)
    expect(await said()).toBe('open')
    const what = inflict(dir, damage, { olderDir: stores.older, keepsSizes: true })
    holder.send('read')
    expect(await said(), what).toBe('fine')
    rmSync(dir, { recursive: true })
  })
  holder.kill()
})

test('what a restored backup puts together is taken in, whichever file is the older one', async () => {
  for (const name of ['index.db', 'journal/00000001.seg']) {
    const dir = stores.copy(stores.closed)
    copyFileSync(join(stores.older, name), join(dir, name))
    const { left } = await repairStore(dir)
    expect(left && isWell(left)).toBe(true)
    expect(await readEverything(dir)).toEqual(name === 'index.db' ? NAMES : expect.arrayContaining(['a', 'b', 'c']))
  }
})

test('an undamaged store is well: new, half-written, left by a killed process', async () => {
  for (const from of [stores.older, stores.closed, stores.killed]) {
    const report = await inspectStore(stores.copy(from))
    expect([report.faults, report.lost.results, report.lost.blobs]).toEqual([[], [], []])
  }
})

test.each([{}, { chunking: 'fastcdc' as const }])('a store that was collected is well, with %o', async (options) => {
  const dir = join(stores.base, `collected-${Object.keys(options).length}`)
  const shape = { ...SMALL, fileBytes: 3000, largeBytes: 1_100_000 }
  for (const round of ['x', 'y']) {
    {
      await using store = await openLocalStore({ dir, ...options })
      for (let i = 0; i < 8; i++) await saveEntry(store, `${round}${i}`, shape)
    }
    await using store = await openLocalStore({ dir, now: () => Date.now() + 7_200_000, ...options })
    expect((await store.catalog.collect({ targetBytes: 4_000_000 })).removedBlobs).toBeGreaterThan(0)
    const report = await inspectStore(dir)
    expect([report.faults, report.lost.results, report.lost.blobs]).toEqual([[], [], []])
  }
})

test('a task in a damaged cache: its output, its exit code, and one warning at most', async () => {
  using bench = new Bench()
  const command = [
    'run',
    '-i',
    'src',
    '-o',
    'dist',
    '--',
    'sh',
    '-c',
    'mkdir -p dist; cat src/* > dist/all; echo made; exit 0',
  ]
  await bench.recue(command)
  await bench.recue(command)
  const cache = `${bench.cacheDir}-whole`
  cpSync(bench.cacheDir, cache, { recursive: true })
  const property = fc.asyncProperty(damages('any'), async (damage) => {
    for (const dir of [bench.cacheDir, join(bench.root, 'dist')]) rmSync(dir, { recursive: true, force: true })
    cpSync(cache, bench.cacheDir, { recursive: true })
    const what = inflict(bench.cacheDir, damage, { olderDir: cache })
    const { code, stdout, stderr } = await bench.recue(command)
    expect([code, stdout], what).toEqual([0, 'made\n'])
    expect(readFileSync(join(bench.root, 'dist/all'), 'utf8'), what).toBe('ab')
    // Its last line says what became of the run, and why it was not kept.
    const warnings = stderr.split('\n').filter((line) => line !== '' && !/^recue: (hit|ran|not kept)/.test(line))
    expect(warnings.length, `${what}: ${stderr}`).toBeLessThanOrEqual(1)
  })
  // Noise over each page of the index in turn: some it opens with, and the damage shows in the middle of a run.
  const file = targetsIn(cache).indexOf('index.db')
  const pages = statSync(join(cache, 'index.db')).size / 8192
  const examples = Array.from({ length: pages }, (_, page): [Damage] => [
    { kind: 'noise', file, at: page * 8192, other: page % 2, length: 8192, unit: 'page' },
  ])
  await fc.assert(property, { examples, numRuns: pages + Math.ceil(RUNS / 8) })
})

test('an index that is gone, or nothing but zeros, is built again whole', async () => {
  for (const ruin of [rmSync, (path: string) => writeFileSync(path, Buffer.alloc(50_000))]) {
    const dir = stores.copy(stores.closed)
    ruin(join(dir, 'index.db'))
    expect(await readEverything(dir)).toEqual(NAMES)
    expect(existsSync(join(dir, 'index.db'))).toBe(true)
  }
})
