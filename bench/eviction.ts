/**
 * What leaves a full cache, and what it costs to do that again: the default policy beside LRU and Belady's optimum, on tasks
 * that were recorded while a monorepo was worked on in branches. `--record FILE` records anew, in some minutes.
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
import { inPlace } from './place.ts'

const recorded = path.resolve(import.meta.dirname, '../test/fixtures/traces/branches.csv.gz')
const STEPS = 240
/** Of all that was ever made. From a quarter on, what the branches in use need fits, and there is little left to choose. */
const SHARES = [
  { share: 1 / 16, bar: 0.85 },
  { share: 1 / 8, bar: 0.85 },
  { share: 1 / 4, bar: undefined },
  { share: 1 / 2, bar: undefined },
] as const

export const eviction: Benchmark = { name: 'eviction', run: measure }

async function measure(): Promise<Row[]> {
  const trace = await read(recorded)
  const rows: Row[] = []
  for (const { share, bar } of SHARES) {
    const replay = { capacity: Math.round(share * footprint(trace)), countsObjects: false }
    const ours = await simulate(trace, POLICIES.gdsf, replay)
    const what = `cost of misses, cache of 1/${1 / share}`
    const against = async (name: 'lru' | 'w-tinylfu' | 'gdsf-original') =>
      row(what, trace, ours, name, await simulate(trace, POLICIES[name], replay))
    rows.push({ ...(await against('lru')), ...(bar === undefined ? {} : { bar }) })
    rows.push(await against('w-tinylfu'), await against('gdsf-original'))
    rows.push(row(what, trace, ours, 'belady', await simulateBelady(trace, replay)))
  }
  return rows
}

function row(what: string, { costs }: Trace, ours: Misses, name: string, theirs: Misses): Row {
  const all = costs?.reduce((sum, one) => sum + one, 0) ?? 0
  const shown = (found: Misses) => `${((100 * found.missedCostMs) / all).toFixed(2)} %`
  return {
    what,
    ours: `gdsf ${shown(ours)}`,
    theirs: `${name} ${shown(theirs)}`,
    ratio: ours.missedCostMs / theirs.missedCostMs,
  }
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

async function record(file: string): Promise<void> {
  await inPlace('eviction', async (folder) => {
    await using cache = await buildHistory(folder, STEPS, (line) => process.stdout.write(`${line}\n`))
    const { requests, keys, sizes, costs } = ledgerTrace(cache.ledger.records())
    const lines = ['key,size,cost_ms']
    for (let at = 0; at < requests; at++) lines.push(`${keys[at]},${sizes?.[at]},${Math.round(costs?.[at] ?? 0)}`)
    writeFileSync(file, gzipSync(`${lines.join('\n')}\n`, { level: 9 }))
  })
}

if (import.meta.main) {
  const at = process.argv.indexOf('--record')
  if (at === -1) await runAlone(eviction)
  else await record(path.resolve(process.argv[at + 1] ?? recorded))
}
