import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { freemem, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryState } from './memory-pressure.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-memory-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

function stateWith(files: Readonly<Record<string, string>>) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
  return memoryState({ proc: join(dir, 'proc'), cgroup: join(dir, 'cgroup') })
}

const PRESSURE = 'some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=1\n'

test('without cgroups and pressure figures: those of the machine', () => {
  const state = stateWith({})
  expect(state).toMatchObject({ limitBytes: totalmem(), stalled: 0 })
  expect(state.availableBytes).toBeGreaterThan(freemem() / 2)
})

test('the group that has a limit counts, less what its page cache holds', () => {
  const state = stateWith({
    'proc/self/cgroup': '4:memory:/old\n0::/a/b\n',
    'cgroup/a/b/memory.max': 'max\n',
    'cgroup/a/b/memory.current': '5\n',
    'cgroup/a/memory.max': '10000000\n',
    'cgroup/a/memory.current': '9000000\n',
    'cgroup/a/memory.stat': 'anon 1\nfile 2000000\ninactive_file 7\n',
    'cgroup/a/memory.pressure': PRESSURE,
  })
  expect(state).toEqual({ limitBytes: 10_000_000, availableBytes: 3_000_000, stalled: 0.125 })
})

test('a group over its limit has nothing left', () => {
  const state = stateWith({
    'proc/self/cgroup': '0::/\n',
    'cgroup/memory.max': '1000\n',
    'cgroup/memory.current': '1200\n',
  })
  expect(state).toEqual({ limitBytes: 1000, availableBytes: 0, stalled: 0 })
})

test('without a limit anywhere: the machine, with its pressure', () => {
  const state = stateWith({
    'proc/self/cgroup': '0::/a\n',
    'proc/pressure/memory': PRESSURE,
    'cgroup/a/memory.max': 'max\n',
    'cgroup/a/memory.current': '5\n',
  })
  expect(state).toMatchObject({ limitBytes: totalmem(), stalled: 0.125 })
})
