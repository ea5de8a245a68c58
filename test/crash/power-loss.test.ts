import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openIndexDb } from '../../src/store/local/index-db.ts'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { saveEntry } from './entries.ts'
import { MIXED, OLD } from './every-call-entries.ts'
import { afterPowerLoss } from './power-loss.ts'
import { recordWrites, type Write } from './recorded-writes.ts'
import { entriesOfStore, wholeEntries } from './store-checks.ts'
import { hasStrace } from './system-calls.ts'

/** RECUE_CRASH_CUTS makes it more. */
const CUTS = Number(process.env.RECUE_CRASH_CUTS ?? 12)
const WORKER = join(import.meta.dirname, 'every-call-worker.ts')
const ALL = [...OLD, 'new-0', 'new-1']

const isTraceable = hasStrace()
if (!isTraceable) console.log('skipped: strace is not installed (power cuts)')
let dir: string
let original: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-power-'))
  original = join(dir, 'original')
  await using store = await openLocalStore({ dir: original })
  for (const name of OLD) await saveEntry(store, name, MIXED)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function randomOf(seed: number): (below: number) => number {
  let state = seed * 7919 + 1
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The next to open it finds that the machine was started anew; a damaged index it finds anyway. */
function restart(folder: string): void {
  try {
    using index = openIndexDb(join(folder, 'index.db'), { readOnly: false, durability: 'fast' })
    index.sql("UPDATE state SET boot='an earlier start'").run()
  } catch {
    rmSync(join(folder, 'index.db-shm'), { force: true })
  }
}

const after = (word: string, writes: readonly Write[]) =>
  writes.flatMap((write) =>
    write.kind === 'said' && write.line.startsWith(word) ? [write.line.slice(word.length)] : [],
  )

async function cutPower(
  job: string,
  durability: 'fast' | 'full',
  check: (folder: string, saidUntilThen: readonly Write[]) => Promise<void>,
): Promise<void> {
  const store = join(dir, `${job}-${durability}`)
  cpSync(original, store, { recursive: true })
  const { writes } = await recordWrites({ args: [WORKER, store, job, durability] }, store)
  expect(after('done', writes)).toHaveLength(1)
  for (let seed = 0; seed < CUTS; seed++) {
    const random = randomOf(seed)
    // Some at the very end.
    const done = writes.slice(0, seed % 5 === 0 ? writes.length : random(writes.length))
    const folder = join(dir, `cut-${job}-${durability}-${seed}`)
    afterPowerLoss(original, folder, done, random)
    restart(folder)
    try {
      await check(folder, done)
    } catch (error) {
      const kept = process.env.RECUE_CRASH_KEEP
      if (kept !== undefined) cpSync(folder, join(kept, `${job}-${durability}-${seed}`), { recursive: true })
      throw new Error(`seed ${seed}: cut after ${done.length} of ${writes.length} writes`, { cause: error })
    }
    rmSync(folder, { recursive: true })
  }
  console.log(`${CUTS} cuts in ${writes.length} writes of ${job}, ${durability}`)
}

/** Whole or absent, at the first look and after the next save. */
async function expectConsistent(folder: string): Promise<string[]> {
  const first = await entriesOfStore(folder, ALL, MIXED)
  await using store = await openLocalStore({ dir: folder })
  await saveEntry(store, 'after', MIXED)
  expect(await wholeEntries(store, ['after'], MIXED)).toEqual(['after'])
  expect(await wholeEntries(store, ALL, MIXED)).toEqual(expect.arrayContaining(first))
  return first
}

describe.skipIf(!isTraceable)('a power cut', () => {
  test('in a put, full: all that was acknowledged is there', async () => {
    await cutPower('put', 'full', async (folder, writes) => {
      expect(await expectConsistent(folder)).toEqual(expect.arrayContaining([...OLD, ...after('saved ', writes)]))
    })
  })

  test('in a put, fast: what was there for long is there, the rest is whole or absent', async () => {
    await cutPower('put', 'fast', async (folder) => {
      expect(await expectConsistent(folder)).toEqual(expect.arrayContaining([...OLD]))
    })
  })

  test.each(['full', 'fast'] as const)(
    'in a collection that copies what lives, %s: what it left is there, the rest is whole or absent',
    async (durability) => {
      await cutPower('collect', durability, async (folder, writes) => {
        expect(await expectConsistent(folder)).toEqual(expect.arrayContaining(after('kept ', writes)))
      })
    },
  )
})
