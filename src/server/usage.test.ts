import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { digestOf } from '../digest/sha256.ts'
import { type Ledger, openLedger } from '../observe/ledger.ts'
import { cacheStats } from '../observe/stats.ts'
import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { action } from '../store/action-store.contract.ts'
import { artifactResult } from './artifacts.ts'
import { openUsage, type Use } from './usage.ts'

const HOUR_MS = 3_600_000
let dir: string
let ledger: Ledger
let nowMs: number

beforeEach(() => {
  vi.useFakeTimers()
  dir = mkdtempSync(join(tmpdir(), 'recue-usage-'))
  ledger = openLedger(dir)
  nowMs = 1_700_000_000_000
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(dir, { recursive: true, force: true })
})

const usageOf = () => openUsage(ledger, () => nowMs)
const windowPasses = () => vi.advanceTimersByTime(1_000)
const digest = digestOf(Buffer.from('some content'))
const result = artifactResult([digest], { tool: 'nx', key: 'k', durationMs: 5_000 })
const use = (kind: Use['kind'], name = 'a', more: Partial<Use> = {}): Use => ({
  ...{ kind, instance: '', action: action(name), by: 'nx' },
  ...(kind !== 'miss' && { of: { result } }),
  ...more,
})
const written = () =>
  [...ledger.records()].map(({ status, label, root, tool, count, savedMs, durationMs, bytes, key }) => {
    const sums = { count, savedMs, durationMs, bytes }
    return { status, label, root, tool, ...sums, hasKey: key !== undefined }
  })
const none = { savedMs: 0, durationMs: 0, bytes: 0, hasKey: false }

test('nothing is written while somebody waits, and one record for all hits of a tool after that', () => {
  using usage = usageOf()
  for (let i = 0; i < 3; i++) usage.note(use('hit', `${i}`))
  expect(written()).toEqual([])
  windowPasses()
  const record = { status: 'hit', label: 'nx', root: '', tool: 'nx' }
  expect(written()).toEqual([{ ...record, ...none, count: 3, savedMs: 15_000, bytes: 3 * digest.sizeBytes }])
})

test('hits are apart by tool, project and kind of work', () => {
  using usage = usageOf()
  const by = { headers: { 'user-agent': 'moon/1' } }
  for (const more of [{}, { instance: 'red' }, { by: 'turborepo' }, { by }, {}]) usage.note(use('hit', 'a', more))
  windowPasses()
  expect(written().map(({ tool, root, count }) => [tool, root, count])).toEqual([
    ['nx', '', 2],
    ['nx', 'red', 1],
    ['turborepo', '', 1],
    ['moon', '', 1],
  ])
})

describe('what was brought', () => {
  const kept = { label: 'nx', root: '', tool: 'nx', count: 1, savedMs: 0, durationMs: 5_000, bytes: 12, hasKey: true }

  test('after a look-up that missed is a miss, with its key', () => {
    using usage = usageOf()
    usage.note(use('miss'))
    windowPasses()
    expect(written()).toEqual([])
    usage.note(use('kept'))
    windowPasses()
    expect(written()).toEqual([{ ...kept, status: 'miss' }])
    expect([...ledger.records()][0]?.key).toEqual({ ...action('a') })
  })

  test('in the second of its look-up is a miss, too', () => {
    using usage = usageOf()
    usage.note(use('miss'))
    usage.note(use('kept'))
    windowPasses()
    expect(written()).toEqual([{ ...kept, status: 'miss' }])
  })

  test('without a look-up, or after one of another project, did not ask the cache', () => {
    using usage = usageOf()
    usage.note(use('miss', 'a', { instance: 'red' }))
    usage.note(use('kept'))
    windowPasses()
    expect(written()).toEqual([{ ...kept, status: 'bypassed' }])
  })

  test('with times that no clock has took none', () => {
    using usage = usageOf()
    const at = (seconds: number) => ({ seconds, nanos: 0 })
    for (const [start, end] of [
      [5, 1],
      [0, Number.MAX_SAFE_INTEGER],
    ] as const) {
      const executionMetadata = {
        worker: '',
        auxiliaryMetadata: [],
        executionStartTimestamp: at(start),
        executionCompletedTimestamp: at(end),
      }
      usage.note(use('kept', 'a', { of: { result: { ...ActionResult.decode(new Uint8Array(0)), executionMetadata } } }))
    }
    windowPasses()
    expect(written().map(({ durationMs }) => durationMs)).toEqual([0, 0])
  })
})

describe('a look-up that missed', () => {
  test('and brought nothing in an hour is one whose result was not kept', () => {
    using usage = usageOf()
    usage.note(use('miss'))
    windowPasses()
    nowMs += HOUR_MS - 1
    usage.note(use('hit', 'other'))
    windowPasses()
    expect(written().map(({ status }) => status)).toEqual(['hit'])
    nowMs += 1
    usage.note(use('hit', 'other'))
    windowPasses()
    expect(written().map(({ status, count }) => [status, count])).toEqual([
      ['hit', 1],
      ['hit', 1],
      ['uncached', 1],
    ])
  })

  test('is counted each time it was made', () => {
    const usage = usageOf()
    for (let i = 0; i < 3; i++) usage.note(use('miss'))
    usage[Symbol.dispose]()
    expect(written()).toEqual([{ status: 'uncached', label: 'nx', root: '', tool: 'nx', ...none, count: 3 }])
  })

  test('is awaited with few others: the oldest are given up', () => {
    using usage = usageOf()
    for (let i = 0; i < 30; i++) {
      for (let n = 0; n < 2_000; n++) usage.note(use('miss', `${i}/${n}`))
      windowPasses()
    }
    const given = written().reduce((sum, { count }) => sum + count, 0)
    expect(given).toBe(10_000)
  })
})

test('of very many, some are looked at and all are counted', () => {
  using usage = usageOf()
  let looks = 0
  const of = {
    get result() {
      looks++
      return result
    },
  }
  for (let i = 0; i < 10_000; i++) usage.note(use('hit', `${i}`, { by: i % 2 === 0 ? 'nx' : 'moon', of }))
  windowPasses()
  expect(looks).toBeLessThan(5_000)
  expect(written().map(({ tool, count, savedMs }) => [tool, count, savedMs])).toEqual([
    ['nx', 5_000, 25_000_000],
    ['moon', 5_000, 25_000_000],
  ])
})

test('what is left is written in the end', () => {
  const usage = usageOf()
  usage.note(use('hit'))
  usage.note(use('kept'))
  usage[Symbol.dispose]()
  expect(written().map(({ status }) => status)).toEqual(['bypassed', 'hit'])
  windowPasses()
  expect(written().length).toBe(2)
})

test('statistics have a line for each tool', async () => {
  const usage = usageOf()
  for (let i = 0; i < 3; i++) usage.note(use('hit', `${i}`))
  usage.note(use('miss', 'new'))
  usage.note(use('kept', 'new'))
  usage.note(use('kept', 'pushed', { by: 'moon' }))
  usage[Symbol.dispose]()
  const catalog = { usage: async () => ({}) } as never
  const { runs, hits, misses, hitRate, savedMs, tools, ownTime } = await cacheStats({ ledger, catalog })
  expect({ runs, hits, misses, hitRate, savedMs }).toEqual({
    runs: 5,
    hits: 3,
    misses: 1,
    hitRate: 0.75,
    savedMs: 15_000,
  })
  expect(tools).toEqual([
    { tool: 'nx', runs: 4, hits: 3, misses: 1, hitRate: 0.75, savedMs: 15_000 },
    { tool: 'moon', runs: 1, hits: 0, misses: 0, hitRate: undefined, savedMs: 0 },
  ])
  expect(ownTime).toEqual({ hit: undefined, miss: undefined })
})
