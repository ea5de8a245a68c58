import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Contract, type Operation, violations } from './history.ts'
import { readHistory } from './history-log.ts'
import { startWorker, type Worker } from './processes.ts'
import { expectTidy } from './store-checks.ts'

/** RECUE_CRASH_SECONDS makes it longer. */
const SECONDS = Number(process.env.RECUE_CRASH_SECONDS ?? 4)
const PROCESSES = 16
const STRICT: Contract = { isEvicting: false, staleNs: 0n }
const MS = 1_000_000n
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-history-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** 16 processes with 64 operations at once in each; now and then one is killed and another takes its place. */
async function record(tier: 'local' | 'cached', evicting: '' | 'evicting'): Promise<Operation[]> {
  const logs = join(dir, 'logs')
  const store = join(dir, 'store')
  mkdirSync(logs)
  let started = 0
  const start = () => startWorker([store, logs, `${started++}`, tier, evicting], 'node', WORKER)
  const workers: Worker[] = Array.from({ length: PROCESSES }, start)
  const killed = new Set<Worker>()
  await Promise.all(workers.map((worker) => worker.said('ready')))
  for (let second = 0; second < SECONDS; second++) {
    await pause(1000)
    const worker = workers[second] as Worker
    killed.add(worker)
    worker.child.kill('SIGKILL')
    await worker.ended
    workers.push(start())
  }
  writeFileSync(join(dir, 'stop'), '')
  for (const worker of workers) {
    const { code, stderr } = await worker.ended
    if (!killed.has(worker)) expect([code, stderr]).toEqual([0, ''])
  }
  await expectTidy(store)
  return readHistory(logs)
}

const WORKER = join(import.meta.dirname, 'history-worker.ts')

/** How often each thing ended how. */
function countsOf(history: readonly Operation[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind, outcome = 'cut off' } of history) {
    const name = `${kind} ${outcome}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

describe('what 16 processes with 64 operations at once are answered', () => {
  test.each([
    ['nothing is evicted', 'local', '', STRICT],
    ['under eviction', 'local', 'evicting', { isEvicting: true, staleNs: 0n }],
    ['from memory', 'cached', '', { isEvicting: false, staleNs: 150n * MS }],
  ] as const)(
    '%s: complete or absent, the last write wins, no blob is lost',
    async (_name, tier, evicting, contract) => {
      const history = await record(tier, evicting)
      const counts = countsOf(history)
      console.log(history.length, JSON.stringify(counts))
      expect(violations(history, contract)).toEqual([])
      for (const much of [
        'put done',
        'get done',
        'get absent',
        'remove done',
        'collect done',
        'write done',
        'read done',
      ])
        expect(counts[much], much).toBeGreaterThan(3)
    },
  )
})

test('the clock of a history is one for all processes', () => {
  const script = 'process.stdout.write(String(process.hrtime.bigint()))'
  const before = process.hrtime.bigint()
  const there = BigInt(spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout)
  expect([before < there, there < process.hrtime.bigint()]).toEqual([true, true])
})

describe('a history that no store should have', () => {
  let count = 0
  const at = (
    kind: Operation['kind'],
    value: string | undefined,
    outcome: Operation['outcome'],
    times?: [number, number],
  ) => {
    const [start, end] = times ?? [count * 10, count * 10 + 5]
    count++
    const said = { process: 0, kind, key: 'k', startNs: BigInt(start), endNs: BigInt(end) }
    return { ...said, ...(value === undefined ? {} : { value }), ...(outcome === undefined ? {} : { outcome }) }
  }
  beforeEach(() => {
    count = 0
  })
  const put = (value: string, times?: [number, number]) => at('put', value, 'done', times)
  const get = (value: string, times?: [number, number]) => at('get', value, 'done', times)
  const miss = (times?: [number, number]) => at('get', undefined, 'absent', times)
  const removed = (times?: [number, number]) => at('remove', undefined, 'done', times)
  const EVICTING: Contract = { isEvicting: true, staleNs: 0n }

  test.each<[string, () => Operation[], Contract]>([
    ['a value that nobody put', () => [put('a'), get('b')], STRICT],
    ['a value before it was put', () => [get('a'), put('a')], STRICT],
    ['a value that was replaced', () => [put('a'), put('b'), get('a')], STRICT],
    ['a value that was removed', () => [put('a'), removed(), get('a')], STRICT],
    ['a put that is lost', () => [put('a'), miss()], STRICT],
    ['a put after a removal that is lost', () => [put('a'), removed(), put('b'), miss()], STRICT],
    ['an eviction long before', () => [{ ...at('collect', undefined, 'done'), key: '' }, put('a'), miss()], EVICTING],
    [
      'an eviction where there is none',
      () => [put('a'), { ...at('collect', undefined, 'done'), key: '' }, miss()],
      STRICT,
    ],
    ['nothing to be removed', () => [put('a'), at('remove', undefined, 'absent'), get('a')], STRICT],
    ['a hit that is not whole', () => [put('a'), at('get', 'a', 'lost')], STRICT],
    ['wrong bytes', () => [put('a'), at('get', 'a', 'wrong')], STRICT],
    ['a blob that is lost', () => [at('write', undefined, 'done'), at('read', undefined, 'absent')], EVICTING],
    ['stale for too long', () => [put('a'), put('b'), get('a', [100, 105])], { ...STRICT, staleNs: 50n }],
  ])('is found: %s', (_name, history, contract) => {
    expect(violations(history(), contract)).toHaveLength(1)
  })

  test.each<[string, () => Operation[], Contract]>([
    [
      'what overlaps in any order',
      () => [put('a', [0, 50]), put('b', [10, 40]), get('a', [45, 60]), get('b', [55, 70])],
      STRICT,
    ],
    ['a miss beside the first put', () => [put('a', [0, 50]), miss([10, 60])], STRICT],
    ['a miss after a removal', () => [put('a'), removed(), miss()], STRICT],
    ['a miss beside a removal', () => [put('a'), removed([10, 90]), miss([20, 25]), get('a', [30, 35])], STRICT],
    [
      'a put that was cut off',
      () => [put('a'), { ...put('b'), endNs: undefined, outcome: undefined } as never, get('a'), get('b')],
      STRICT,
    ],
    ['a put that failed, and still happened', () => [put('a'), at('put', 'b', 'failed'), get('b')], STRICT],
    ['an eviction', () => [put('a'), { ...at('collect', undefined, 'done'), key: '' }, miss()], EVICTING],
    [
      'a blob that is read while it is written',
      () => [at('write', undefined, 'done', [0, 50]), at('read', undefined, 'absent', [10, 20])],
      STRICT,
    ],
    ['a value that others just replaced', () => [put('a'), put('b'), get('a', [30, 35])], { ...STRICT, staleNs: 50n }],
  ])('is not found in %s', (_name, history, contract) => {
    expect(violations(history(), contract)).toEqual([])
  })
})
