import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { rowOf, table } from './benchmark.ts'
import { median, medianRatio, pairedRuns } from './paired-runs.ts'

test('contenders run in turn, the first round is not counted, and preparing comes before each run', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'recue-paired-'))
  const log = path.join(folder, 'log')
  const contender = (name: string) => ({
    name,
    argv: ['sh', '-c', `printf ${name} >>log`] as const,
    cwd: folder,
    prepare: () => rmSync(path.join(folder, 'absent'), { force: true }),
  })
  const timings = pairedRuns([contender('a'), contender('b')], 2)
  expect(readFileSync(log, 'utf8')).toBe('ababab')
  expect(timings.map(({ name, runsMs }) => [name, runsMs.length])).toEqual([
    ['a', 2],
    ['b', 2],
  ])
  rmSync(folder, { recursive: true })
})

test('a run that fails is no figure', () => {
  expect(() => pairedRuns([{ name: 'broken', argv: ['false'], cwd: '.' }], 1)).toThrow(/broken: false ended with 1/)
})

test('the ratio is the median of neighbouring pairs, so one slow moment of the machine does not count', () => {
  const ours = { name: 'ours', medianMs: 20, runsMs: [10, 200, 20] }
  const theirs = { name: 'theirs', medianMs: 40, runsMs: [20, 400, 40] }
  expect(medianRatio(ours, theirs)).toBe(0.5)
  expect(median([4, 1, 3, 2])).toBe(2.5)
})

test('the table says whether the bar is reached', () => {
  const timing = (name: string, ms: number) => ({ name, medianMs: ms, runsMs: [ms] })
  const lines = table([
    rowOf('x', timing('ours', 5), timing('theirs', 10), 0.5),
    rowOf('y', timing('ours', 6), timing('theirs', 10), 0.5),
  ])
  expect(lines).toMatch(/\| x .*0\.50 +\| 0\.50 +\| reached/)
  expect(lines).toMatch(/\| y .*0\.60 +\| 0\.50 +\| NOT reached/)
})
