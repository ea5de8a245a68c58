import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { POLICIES } from '../../src/evict/policies.ts'
import { simulate } from '../../src/evict/simulate.ts'
import { TraceBuilder } from '../../src/evict/trace.ts'
import { Bench } from '../fixtures/commands.ts'

interface Simulated {
  readonly requests: number
  readonly objects: number
  readonly footprint: number
  readonly costMs?: number
  readonly unit: string
  readonly sizes: readonly {
    readonly capacity: number
    readonly results: readonly {
      readonly policy: string
      readonly misses: number
      readonly missedBytes: number
      readonly costRatio?: number
      readonly overBelady: number
    }[]
  }[]
}

const traces = join(import.meta.dirname, '../fixtures/traces')
const postgres = join(traces, 'ps.trace.gz')
let bench: Bench
beforeAll(() => {
  bench = new Bench()
})
afterAll(() => bench[Symbol.dispose]())

test('the runs of this cache are its trace', async () => {
  using own = new Bench()
  expect(await own.recue(['simulate'])).toMatchObject({ code: 0, stdout: 'Nothing has been run yet.\n' })
  await own.build()
  await own.build()
  own.write('src/a.txt', 'other')
  await own.build()
  const found = await own.json<Simulated>(['simulate', '--policy', 'lru', '--size', '1GB'])
  expect(found).toMatchObject({ requests: 3, objects: 2, unit: 'bytes', costMs: expect.any(Number) })
  expect(found.sizes[0]?.results).toEqual([
    expect.objectContaining({ policy: 'lru', misses: 2, overBelady: 0 }),
    expect.objectContaining({ policy: 'belady', misses: 2 }),
  ])
})

test('a published trace gives its published results', async () => {
  const words = ['simulate', '--policy', 'lru', '--policy', 'sieve', '--size', '500', '--size', '2500', postgres]
  const { sizes, ...rest } = await bench.json<Simulated>(words)
  expect(rest).toEqual({ requests: 10_448, objects: 3_083, bytes: 10_448, footprint: 3_083, unit: 'objects' })
  const misses = sizes.map(({ capacity, results }) => [capacity, ...results.map((one) => one.misses)])
  expect(misses).toEqual([
    [500, 10_448 - 5_072, 10_448 - 5_495, 10_448 - 6_070],
    [2_500, 10_448 - 7_364, 10_448 - 7_365, 10_448 - 7_365],
  ])
})

test('people see a table for each size and a chart that fits 80 columns', async () => {
  const { stdout, code } = await bench.recue(['simulate', '--policy', 'lru', '--policy', 'arc', postgres])
  const lines = stdout.trimEnd().split('\n')
  expect(code).toBe(0)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  expect(lines.filter((line) => line.startsWith('cache of '))).toEqual(
    ['96', '193', '385', '771', '1 542'].map((size) => `cache of ${size}`),
  )
  expect(lines).toContain('miss ratio by size of the cache')
  expect(lines.at(-1)).toBe('L lru  A arc  . belady')
  const chart = lines.slice(lines.indexOf('miss ratio by size of the cache') + 1, -1)
  expect(chart.length).toBe(18)
  expect(chart.join('')).toMatch(/L.*A.*\./)
  expect(stdout).not.toContain('\x1b')
})

describe('a trace with sizes and costs', () => {
  const csv = 'key,size,cost_ms\na,100,1\nb,100,1000\nc,100,1\nb,100,1000\na,100,1\nc,100,1\nb,100,1000\n'

  test.each([
    ['plain', 'trace.csv', (text: string) => Buffer.from(text)],
    ['zstd', 'trace.csv.zst', (text: string) => zstdCompressSync(text)],
  ])('is weighed by what a miss costs (%s)', async (_, name, packed) => {
    bench.write(name, '')
    writeFileSync(join(bench.root, name), packed(csv))
    const { costMs, footprint, sizes } = await bench.json<Simulated>(['simulate', '--size', '200', name])
    expect({ costMs, footprint }).toEqual({ costMs: 3_004, footprint: 300 })
    const [gdsf] = sizes[0]?.results ?? []
    // It holds two, and b never leaves.
    expect(gdsf).toMatchObject({ policy: 'gdsf', misses: 5, missedBytes: 500 })
    expect(gdsf?.costRatio).toBeCloseTo(1_004 / 3_004)
  })

  test('counts objects when asked to', async () => {
    bench.write('trace.csv', csv)
    const found = await bench.json<Simulated>(['simulate', '--objects', '--size', '2', '--policy', 'lru', 'trace.csv'])
    expect(found).toMatchObject({ unit: 'objects', footprint: 3 })
    expect(found.sizes[0]?.results[0]).toMatchObject({ misses: 6, missedBytes: 600 })
  })
})

test.each<[string[], RegExp]>([
  [['--policy', 'lruu', 'x'], /--policy: there is no "lruu"; there are fifo, lru, .*\n +Did you mean lru\?/],
  [['--size', '0', 'x'], /--size: a cache of "0" holds nothing/],
  [['--size', '-5', 'x'], /"-5" is not a size/],
  [['--size', 'NaN', 'x'], /"NaN" is not a size/],
  [['absent'], /There is no trace .*absent\./],
  [['src'], /src cannot be read/],
  [['src/a.txt'], /The format of .*a\.txt cannot be told/],
  [['--format', 'lirs', 'src/a.txt'], /a\.txt, line 1: "a" is no number/],
  [['--format', 'tar', 'src/a.txt'], /"tar" is none of lirs, /],
  [['empty.csv'], /There are no requests in .*empty\.csv/],
  [['cut.trace.gz'], /cut\.trace\.gz cannot be read \(it is cut off/],
])('what cannot be simulated is one clear line: %j', async (words, line) => {
  bench.write('empty.csv', 'key\n')
  writeFileSync(join(bench.root, 'cut.trace.gz'), readFileSync(postgres).subarray(0, 3_000))
  const { code, stderr, stdout } = await bench.recue(['simulate', ...words])
  expect({ code, stdout, stderr }).toEqual({ code: 125, stdout: '', stderr: expect.stringMatching(line) })
})

test('a simulation ends when it is told to', async () => {
  const builder = new TraceBuilder()
  for (const line of gunzipSync(readFileSync(postgres)).toString().split('\n')) builder.add(line)
  for (let at = 0; at < 1 << 18; at++) builder.add(at)
  const told = new AbortController()
  const simulated = simulate(builder.trace(), POLICIES.lru, { capacity: 10, countsObjects: true }, told.signal)
  told.abort(new Error('enough'))
  await expect(simulated).rejects.toThrow('enough')
})
