import { closeSync, cpSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openLocalStore } from '../../src/store/local/local-store.ts'
import { checkEntry, type EntryShape, SMALL, saveEntry } from './entries.ts'
import { filesBelow } from './store-checks.ts'

const SHAPE: EntryShape = { ...SMALL, fileBytes: 2000, largeBytes: 1_200_000 }
const NAMES = Array.from({ length: 6 }, (_, i) => `e${i}`)
let dir: string
let original: string

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-damage-'))
  original = join(dir, 'original')
  await using store = await openLocalStore({ dir: original })
  for (const name of NAMES) await saveEntry(store, name, SHAPE)
  await store.records.save('inputs', 'of this workspace', Buffer.from('record of this workspace'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Numbers that follow from a seed, so that a failure can be had again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed + 1
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const KINDS = ['flip', 'zero', 'noise', 'truncate', 'grow', 'delete'] as const

function damageFile(path: string, kind: (typeof KINDS)[number], random: (below: number) => number): void {
  const size = readFileSync(path).length
  if (kind === 'delete') rmSync(path)
  else if (kind === 'truncate') truncateSync(path, random(size))
  else overwrite(path, kind, random, size)
}

function overwrite(path: string, kind: (typeof KINDS)[number], random: (below: number) => number, size: number): void {
  const at = kind === 'grow' ? size : random(size)
  const length = kind === 'flip' ? 1 : Math.min(1 + random(5000), kind === 'grow' ? 5000 : size - at)
  const before = readFileSync(path).subarray(at, at + length)
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++)
    bytes[i] = kind === 'flip' ? (before[i] as number) ^ (1 << random(8)) : kind === 'zero' ? 0 : random(256)
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, length, at)
  closeSync(file)
}

/** Every entry is right, or a miss, or a look-up that said hit once and then finds the damage and says miss. */
async function readAll(copy: string): Promise<number> {
  await using store = await openLocalStore({ dir: copy })
  let whole = 0
  for (const name of NAMES) if ((await checkEntry(store, name, SHAPE)) === 'whole') whole++
  const record = store.records.load('inputs', 'of this workspace')
  if (record !== undefined) expect(Buffer.from(record).toString()).toBe('record of this workspace')
  return whole
}

/**
 * Rows that are gone without a trace make a hit that cannot be read, and a damaged index may refuse a write; once the
 * damage was met, the next to open the folder finds it repaired.
 */
async function expectUsable(copy: string): Promise<void> {
  {
    await using store = await openLocalStore({ dir: copy })
    for (const name of NAMES)
      await saveEntry(store, name, SHAPE).catch((error: { code?: string }) => expect(error.code).toBe('store.corrupt'))
  }
  await using store = await openLocalStore({ dir: copy })
  for (const name of [...NAMES, 'after']) {
    await saveEntry(store, name, SHAPE)
    expect(await checkEntry(store, name, SHAPE)).toBe('whole')
  }
  await store.catalog.collect({ targetBytes: 4 * 2 ** 20 })
  for (const name of NAMES) expect(await checkEntry(store, name, SHAPE)).not.toBe('lost')
}

const isOf = (folder: string) => (path: string) => relative(original, path).startsWith(folder)
const TARGETS: [string, (path: string) => boolean, number][] = [
  ['the index', isOf('index.db'), 18],
  ['the journal', isOf('journal'), 18],
  ['a large blob', isOf('blobs'), 6],
  ['any file but FORMAT', (path) => !isOf('FORMAT')(path), 12],
]

describe('damage of a closed store', () => {
  test.each(TARGETS)('%s: never wrong bytes, never an exception, and usable again', async (_name, isTarget, times) => {
    for (let seed = 0; seed < times; seed++) {
      const random = randomOf(seed)
      const copy = join(dir, `copy-${seed}`)
      cpSync(original, copy, { recursive: true })
      const targets = [...filesBelow(copy).keys()].filter((path) => isTarget(join(original, relative(copy, path))))
      const target = targets[random(targets.length)] as string
      const kind = KINDS[seed % KINDS.length] as (typeof KINDS)[number]
      damageFile(target, kind, random)
      try {
        await readAll(copy)
        await expectUsable(copy)
      } catch (error) {
        throw new Error(`seed ${seed}: ${kind} in ${relative(copy, target)}`, { cause: error })
      }
      rmSync(copy, { recursive: true })
    }
  })

  test('an index that is gone, or nothing but zeros, is built again whole', async () => {
    for (const ruin of ['delete', 'zero'] as const) {
      const copy = join(dir, ruin)
      cpSync(original, copy, { recursive: true })
      const index = join(copy, 'index.db')
      if (ruin === 'delete') rmSync(index)
      else {
        const size = readFileSync(index).length
        truncateSync(index, 0)
        truncateSync(index, size)
      }
      expect(await readAll(copy)).toBe(NAMES.length)
    }
  })

  test('index and half of the journal gone: the other half is there', async () => {
    const copy = join(dir, 'half')
    cpSync(original, copy, { recursive: true })
    rmSync(join(copy, 'index.db'))
    const [segment] = [...filesBelow(join(copy, 'journal'))]
    truncateSync(segment?.[0] as string, (segment?.[1] as number) / 2)
    const whole = await readAll(copy)
    expect(whole).toBeGreaterThan(NAMES.length * 0.2)
    expect(whole).toBeLessThan(NAMES.length * 0.8)
  })
})
