import { expect, test } from 'vitest'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import { UsualDurations } from './usual-durations.ts'

const RUN: RunRecord = {
  thing: 'a',
  label: 'a',
  root: '/project',
  startedMs: 0,
  status: 'miss',
  key: undefined,
  exitCode: 0,
  durationMs: 1000,
  savedMs: 0,
  ownUs: 0,
  reason: '',
  source: '',
  bytes: 0,
  tool: '',
  count: 0,
}

/** Of a ledger with these runs, oldest first. */
function usual(...runs: readonly Partial<RunRecord>[]): UsualDurations {
  const records = runs.map((run) => ({ ...RUN, ...run })).toReversed()
  return new UsualDurations({
    records: (options) => (options?.newestFirst === true ? records : records.toReversed()),
  })
}

test('what a command took itself: less what was ours, and of a hit what it took when it ran', () => {
  expect(usual({ durationMs: 1000, ownUs: 100_000 }).of('a')).toBe(900)
  expect(usual({ status: 'uncached', durationMs: 700 }).of('a')).toBe(700)
  expect(usual({ status: 'hit', durationMs: 20, savedMs: 480 }).of('a')).toBe(500)
})

test('a failure, a hit that saved nothing and what a server was asked say nothing', () => {
  expect(usual({ exitCode: 1 }).of('a')).toBe(undefined)
  expect(usual({ status: 'hit', savedMs: 0 }).of('a')).toBe(undefined)
  expect(usual({ tool: 'bazel' }).of('a')).toBe(undefined)
  expect(usual({}).of('b')).toBe(undefined)
})

test('the median of the newest five', () => {
  const runs = [900_000, 900_000, 900_000, 1, 40, 20, 900_000, 30].map((durationMs) => ({ durationMs }))
  expect(usual(...runs).of('a')).toBe(30)
})

test('of what has not run, what others of the same root take on average, where they are enough', () => {
  const others = [1, 2, 3, 4, 5].map((n) => ({ thing: `task ${n}`, durationMs: n * 100 }))
  expect(usual(...others).ofOthers('/project')).toBe(300)
  expect(usual(...others).ofOthers('/elsewhere')).toBe(undefined)
  expect(usual(...others.slice(1)).ofOthers('/project')).toBe(undefined)
})

test('what runs meanwhile counts as the newest, once', () => {
  const durations = usual(...[5, 4, 3, 2, 1].map((durationMs) => ({ durationMs })))
  durations.add({ ...RUN, durationMs: 900 })
  expect(durations.of('a')).toBe(3)
  for (const durationMs of [900, 900, 900]) durations.add({ ...RUN, durationMs })
  expect([durations.of('a'), durations.ofOthers('/project')]).toEqual([900, (2700 + 15) / 8])
})

test('the ledger is read once, and not far back', () => {
  let read = 0
  const ledger = {
    *records() {
      for (;;) {
        read++
        yield RUN
      }
    },
  }
  const durations = new UsualDurations(ledger)
  expect([durations.of('a'), durations.of('b')]).toEqual([1000, undefined])
  expect(read).toBeLessThanOrEqual(2_001)
})
