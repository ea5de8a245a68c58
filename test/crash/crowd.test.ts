import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type EntryShape, SMALL } from './entries.ts'
import { startWorker } from './processes.ts'
import { entriesOfStore, expectTidy } from './store-checks.ts'

const SHAPE: EntryShape = { ...SMALL, fileBytes: 3000, largeBytes: 1_100_000 }
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-crowd-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('eight processes put, get and collect in one store, two of them killed: all that is read is right', async () => {
  const workers = Array.from({ length: 8 }, (_, seed) =>
    startWorker([dir, 'mixed', `${seed}`, '36', `${SHAPE.largeBytes}`]),
  )
  await Promise.all(workers.map((worker) => worker.said('ready')))
  const doomed = workers.slice(6)
  for (const worker of doomed) {
    await worker.said('absent').catch(() => undefined)
    worker.child.kill('SIGKILL')
  }
  const ends = await Promise.all(workers.map((worker) => worker.ended))
  for (const { code, stderr } of ends.slice(0, 6)) expect([code, stderr]).toEqual([0, ''])
  const lines = workers.flatMap((worker) => worker.lines)
  const many = (word: string) => lines.filter((line) => line.startsWith(word)).length
  expect(many('done')).toBeGreaterThanOrEqual(6)
  // They did meet: some found what others had put.
  expect(many('whole')).toBeGreaterThan(20)
  // To be told of a hit and then not get its bytes is the rare race with a collector, not the rule.
  expect(many('lost')).toBeLessThan(many('whole') / 4)
  const names = Array.from({ length: 40 }, (_, i) => `shared-${i}`)
  const there = await entriesOfStore(dir, names, SHAPE)
  await expectTidy(dir)
  expect(await entriesOfStore(dir, names, SHAPE)).toEqual(there)
})
