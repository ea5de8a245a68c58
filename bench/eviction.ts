/**
 * What leaves a full cache, and what it costs to do that again: the default policy beside LRU, others and Belady's optimum,
 * on tasks that were recorded while a monorepo was worked on in branches, and while developers built what they changed.
 * `--record branches|developers [FILE]` records anew, in a quarter of an hour.
 */
import { createReadStream, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createGunzip, gzipSync } from 'node:zlib'
import { POLICIES } from '../src/evict/policies.ts'
import { type Misses, simulate, simulateBelady } from '../src/evict/simulate.ts'
import { type Trace, TraceBuilder } from '../src/evict/trace.ts'
import { readCsv } from '../src/evict/traces/csv.ts'
import { ledgerTrace } from '../src/observe/ledger-trace.ts'
import { type Benchmark, type Row, runAlone } from './benchmark.ts'
import { buildHistory } from './branch-history.ts'
import { developHistory } from './developer-history.ts'
import { inPlace } from './place.ts'

const traces = path.resolve(import.meta.dirname, '../test/fixtures/traces')
/** Histories of different shape, recorded one by one; the policy was chosen on the first. */
const RECORDED = {
  branches: { file: path.join(traces, 'branches.csv.gz'), history: buildHistory, steps: 240 },
  developers: { file: path.join(traces, 'developers.csv.gz'), history: developHistory, steps: 300 },
} as const
type Recorded = keyof typeof RECORDED

/** Of all that was ever made. */
const SHARES = [1 / 16, 1 / 8, 1 / 4, 1 / 2] as const
const OTHERS = ['lru', 'w-tinylfu', 's3-fifo', 'gdsf-original'] as const
/** What the default is to cost at most of what LRU costs, over all sizes. */
const BAR = 0.85

export const eviction: Benchmark = { name: 'eviction', run: measure }

async function measure(): Promise<Row[]> {
  const rows: Row[] = []
  for (const name of Object.keys(RECORDED) as Recorded[]) rows.push(...(await compare(name)))
  return rows
}

async function compare(name: Recorded): Promise<Row[]> {
  const trace = await read(RECORDED[name].file)
  const all = trace.costs?.reduce((sum, one) => sum + one, 0) ?? 0
  const rows: Row[] = []
  const sums = new Map<string, number>()
  for (const share of SHARES) {
    const replay = { capacity: Math.round(share * footprint(trace)), countsObjects: false }
    const cost = async (policy: string, misses: Promise<Misses>) => {
      const found = (await misses).missedCostMs / all
      sums.set(policy, (sums.get(policy) ?? 0) + found / SHARES.length)
      return found
    }
    const ours = await cost('gdsf', simulate(trace, POLICIES.gdsf, replay))
    const what = `${name}: cost of misses, cache of 1/${1 / share}`
    for (const other of OTHERS)
      rows.push(row(what, ours, other, await cost(other, simulate(trace, POLICIES[other], replay))))
    rows.push(row(what, ours, 'belady', await cost('belady', simulateBelady(trace, replay))))
  }
  const mean = (policy: string) => sums.get(policy) ?? 0
  const what = `${name}: the same, mean of these sizes`
  for (const other of [...OTHERS, 'belady'])
    rows.push({ ...row(what, mean('gdsf'), other, mean(other)), ...(other === 'lru' ? { bar: BAR } : {}) })
  const first = firstCost(trace) / all
  rows.push({
    ...row(`${name}: what is asked for first, which no policy saves`, first, 'lru', mean('lru')),
    ours: `any policy ${shown(first)}`,
  })
  rows.push(row(`${name}: without what is asked for first`, mean('gdsf') - first, 'lru', mean('lru') - first))
  return rows
}

/** Costs as shares of what everything would take without a cache. */
function row(what: string, ours: number, name: string, theirs: number): Row {
  return { what, ours: `gdsf ${shown(ours)}`, theirs: `${name} ${shown(theirs)}`, ratio: ours / theirs }
}

function shown(cost: number): string {
  return `${(100 * cost).toFixed(2)} %`
}

/** What no cache can save. */
function firstCost({ keys, costs, objects }: Trace): number {
  const seen = new Uint8Array(objects)
  let cost = 0
  for (const [at, key] of keys.entries()) {
    if (seen[key] === 0) cost += costs?.[at] ?? 0
    seen[key] = 1
  }
  return cost
}

function footprint({ keys, sizes, objects }: Trace): number {
  const last = new Float64Array(objects)
  for (const [at, key] of keys.entries()) last[key] = sizes?.[at] ?? 0
  return last.reduce((sum, one) => sum + one, 0)
}

async function read(file: string): Promise<Trace> {
  const builder = new TraceBuilder()
  await readCsv(createReadStream(file).pipe(createGunzip()), builder)
  return builder.trace()
}

async function record({ history, steps }: (typeof RECORDED)[Recorded], file: string): Promise<void> {
  await inPlace('eviction', async (folder) => {
    await using cache = await history(folder, steps, (line) => process.stdout.write(`${line}\n`))
    const { requests, keys, sizes, costs } = ledgerTrace(cache.ledger.records())
    const lines = ['key,size,cost_ms']
    for (let at = 0; at < requests; at++) lines.push(`${keys[at]},${sizes?.[at]},${Math.round(costs?.[at] ?? 0)}`)
    writeFileSync(file, gzipSync(`${lines.join('\n')}\n`, { level: 9 }))
  })
}

if (import.meta.main) {
  const [, , option, name, file] = process.argv
  if (option !== '--record') await runAlone(eviction)
  else if (name !== 'branches' && name !== 'developers') throw new Error('--record branches|developers [FILE]')
  else await record(RECORDED[name], path.resolve(file ?? RECORDED[name].file))
}
