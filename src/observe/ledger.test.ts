import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import { openLedger } from './ledger.ts'
import { sumRuns } from './run-totals.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-ledger-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function run(n: number, more: Partial<RunRecord> = {}): RunRecord {
  return {
    thing: `task\0${n % 3}`,
    label: `task ${n % 3}`,
    root: '/project',
    startedMs: 1_700_000_000_000 + n,
    status: n % 2 === 0 ? 'hit' : 'miss',
    key: { hash: n.toString(16).padStart(64, '0'), sizeBytes: 140 },
    exitCode: 0,
    durationMs: n,
    savedMs: n % 2 === 0 ? 100 : 0,
    ownUs: 2_000,
    reason: '',
    source: 'local',
    bytes: 10,
    tool: '',
    count: 0,
    ...more,
  }
}

function numbers(options?: { newestFirst?: boolean }): number[] {
  return [...openLedger(dir).records(options)].map((record) => record.durationMs)
}

const firstFile = () => join(dir, 'ledger', 'runs-00000001.log')

test('many are added at once, in their order, and summed up with what each stands for', () => {
  const ledger = openLedger(dir, { fileBytes: 3_000 })
  const all = Array.from({ length: 350 }, (_, n) => run(n, { tool: n % 3 === 0 ? 'bazel' : '', count: n % 5 }))
  ledger.appendAll(all.slice(0, 250))
  expect(numbers()).toEqual(Array.from({ length: 250 }, (_, n) => n))
  for (const record of all.slice(250)) ledger.append(record)
  expect(numbers().length).toBeLessThan(350)
  const sums = sumRuns(ledger.records(), ledger.rotatedTotals())
  expect(sums).toEqual(sumRuns(all))
  const runs = all.reduce((sum, { count }) => sum + (count || 1), 0)
  expect([sums.runs, sums.hits + sums.misses]).toEqual([runs, runs])
  expect(sums.tools.map(({ tool }) => tool)).toEqual(['', 'bazel'])
  expect(sums.tools.reduce((sum, tool) => sum + tool.hits + tool.misses, 0)).toBe(runs)
  ledger.appendAll([])
  expect(sumRuns(ledger.records(), ledger.rotatedTotals()).runs).toBe(runs)
})

test('gives back what was appended, in both directions', () => {
  const ledger = openLedger(dir)
  const records = Array.from({ length: 2_000 }, (_, n) => run(n))
  for (const record of records) ledger.append(record)
  expect([...ledger.records()]).toEqual(records)
  expect([...ledger.records({ newestFirst: true })]).toEqual(records.toReversed())
  expect(statSync(firstFile()).mode & 0o777).toBe(0o600)
})

test('an empty ledger has no records and makes no folder', () => {
  expect(numbers()).toEqual([])
  expect(openLedger(dir).rotatedTotals().runs).toBe(0)
  expect(readdirSync(dir)).toEqual([])
})

test('any record is kept, whatever its texts are', () => {
  const text = fc.string({ unit: 'binary', maxLength: 300 })
  const record = fc.record({ thing: text, label: text, reason: text, root: text, exitCode: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(record, { maxLength: 20 }), (changes) => {
      rmSync(join(dir, 'ledger'), { recursive: true, force: true })
      const ledger = openLedger(dir)
      for (const change of changes) ledger.append(run(1, change))
      const texts = [...ledger.records()].map(({ thing, label, reason, root, exitCode }) => ({
        thing,
        label,
        reason,
        root,
        exitCode,
      }))
      expect(texts).toEqual(changes)
    }),
    { numRuns: 50 },
  )
})

test('a record too long for a frame is shortened, and its neighbours are whole', () => {
  const ledger = openLedger(dir)
  ledger.append(run(1))
  ledger.append(run(2, { label: 'x'.repeat(100_000), thing: 'y'.repeat(100_000) }))
  ledger.append(run(3))
  expect(numbers()).toEqual([1, 2, 3])
  expect(numbers({ newestFirst: true })).toEqual([3, 2, 1])
})

test('whatever bytes are damaged, only the records they belong to are lost, the same in both directions', () => {
  const damage = fc.record({
    at: fc.nat(9_999),
    byte: fc.integer({ min: 1, max: 255 }),
    length: fc.integer({ min: 1, max: 40 }),
  })
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      rmSync(join(dir, 'ledger'), { recursive: true, force: true })
      const ledger = openLedger(dir)
      const ends = Array.from({ length: 60 }, (_, n) => {
        ledger.append(run(n))
        return statSync(firstFile()).size
      })
      const bytes = readFileSync(firstFile())
      const hurt = new Set<number>()
      for (const { at, byte, length } of damages) {
        for (let i = at % bytes.length; i < Math.min(bytes.length, (at % bytes.length) + length); i++) {
          bytes[i] = (bytes[i] as number) ^ byte
          hurt.add(ends.findIndex((end) => i < end))
        }
      }
      writeFileSync(firstFile(), bytes)
      const left = numbers()
      // Two damages at one place may undo each other, so a hurt record may be whole.
      for (let n = 0; n < 60; n++) if (!hurt.has(n)) expect(left).toContain(n)
      for (const n of left) expect(n).toBeLessThan(60)
      expect(numbers({ newestFirst: true })).toEqual(left.toReversed())
    }),
    { numRuns: 100 },
  )
})

test('a torn tail is stepped over by what is appended after it', () => {
  const ledger = openLedger(dir)
  ledger.append(run(1))
  const whole = readFileSync(firstFile())
  for (const length of [1, 3, 4, 8, 11, 12, 40, whole.length - 1]) {
    writeFileSync(firstFile(), whole)
    appendFileSync(firstFile(), whole.subarray(0, length))
    ledger.append(run(2))
    expect(numbers()).toEqual([1, 2])
    expect(numbers({ newestFirst: true })).toEqual([2, 1])
  }
})

test('a long stretch of damage hides nothing before or after it', () => {
  const ledger = openLedger(dir)
  ledger.append(run(1))
  appendFileSync(firstFile(), Buffer.alloc(300_000, 0xf5))
  ledger.append(run(2))
  expect(numbers()).toEqual([1, 2])
  expect(numbers({ newestFirst: true })).toEqual([2, 1])
})

test('rotated away or not, every run is counted once', () => {
  const ledger = openLedger(dir, { fileBytes: 2_000 })
  const all = Array.from({ length: 500 }, (_, n) => run(n))
  for (const record of all) ledger.append(record)
  expect(numbers().length).toBeLessThan(500)
  expect(numbers().at(-1)).toBe(499)
  expect(sumRuns(ledger.records(), ledger.rotatedTotals())).toEqual(sumRuns(all))
  expect(readdirSync(join(dir, 'ledger')).length).toBeLessThanOrEqual(6)
})

test('what a crash left in the middle of a rotation is neither counted twice nor kept', () => {
  const ledger = openLedger(dir, { fileBytes: 2_000 })
  let n = 0
  while (ledger.rotatedTotals().runs === 0) ledger.append(run(n++))
  const total = () => sumRuns(ledger.records(), ledger.rotatedTotals()).runs
  writeFileSync(firstFile(), readFileSync(join(dir, 'ledger', 'runs-00000002.log')))
  writeFileSync(join(dir, 'ledger', 'tmp-1-7'), 'half')
  expect(total()).toBe(n)
  const folded = ledger.rotatedTotals().runs
  while (ledger.rotatedTotals().runs === folded) ledger.append(run(n++))
  expect(total()).toBe(n)
  expect(readdirSync(join(dir, 'ledger')).filter((name) => name === 'tmp-1-7' || name === 'runs-00000001.log')).toEqual(
    [],
  )
})

test('many processes appending at once lose and tear nothing, across rotations', { timeout: 60_000 }, async () => {
  const [processes, each] = [6, 800]
  const script = `
    import { openLedger } from ${JSON.stringify(join(import.meta.dirname, 'ledger.ts'))}
    const ledger = openLedger(${JSON.stringify(dir)}, { fileBytes: 30_000 })
    process.send('ready'); await new Promise((go) => process.once('message', go))
    for (let i = 0; i < ${each}; i++) ledger.append({ thing: 't' + process.pid, label: 'l', root: '/r', startedMs: 1, status: 'hit',
      exitCode: 0, durationMs: i, savedMs: 1, ownUs: 5, reason: '', source: 'local', bytes: 3, tool: '', count: 0 })
    process.disconnect()`
  const children = Array.from({ length: processes }, () =>
    spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  )
  await Promise.all(children.map((child) => once(child, 'message')))
  for (const child of children) child.send('go')
  const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]))
  expect(codes).toEqual(codes.map(() => 0))

  const ledger = openLedger(dir)
  const totals = sumRuns(ledger.records(), ledger.rotatedTotals())
  expect(ledger.rotatedTotals().runs).toBeGreaterThan(0)
  expect(totals).toMatchObject({ runs: processes * each, hits: processes * each, restoredBytes: 3 * processes * each })
})

test('a record that cannot be written is dropped and said on the channel', () => {
  const faults: unknown[] = []
  const listen = (message: unknown) => faults.push(message)
  subscribe('recue:ledger', listen)
  try {
    openLedger(join(dir, 'absent')).append(run(1))
    writeFileSync(join(dir, 'ledger'), 'a file')
    openLedger(dir).append(run(1))
  } finally {
    unsubscribe('recue:ledger', listen)
  }
  expect(faults).toMatchObject([{ isDropped: true }, { isDropped: true }])
  expect(readdirSync(dir)).toEqual(['ledger'])
})
