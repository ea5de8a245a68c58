import { storeWith } from './action-store.ts'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { answerOf, type Runtime, runtimes } from './child-script.ts'
import { LmdbCopy } from './lmdb-copy.ts'
import type { LookUpTimes } from './lookup-child.ts'
import { median, type Timing } from './paired-runs.ts'
import { inFolder } from './place.ts'

/**
 * One look-up of an action result, checked, awaited one by one, and the same with the result decoded: against a bare prepared read of the same rows,
 * as mapped as ours, and against `lmdb`; then from the memory tier, against a Map. As a curve over the number of results,
 * with the same number of different ones asked for.
 */
export const lookup: Benchmark = {
  name: 'lookup',
  run: (options) => inFolder('lookup', (folder) => measure(folder, options)),
}

/** 0.7 of the speed. */
const SPEED_BAR = 1 / 0.7
const SIZES = [1_000, 10_000, 100_000, 1_000_000]
const CURVE_SIZE = 10_000_000
/** From where on the cost must stay flat, and how flat. */
const FLAT_FROM = 100_000
const FLAT_BAR = 1.5

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const rows: Row[] = []
  const ours = new Map<string, Timing[]>()
  using lmdb = await LmdbCopy.open(folder)
  for (const full of options.curve ? [...SIZES, CURVE_SIZE] : SIZES) {
    const count = scaled(full, options, 100)
    const store = await storeWith(count)
    // lmdb is compared up to a million: that is what the bar is for.
    if (full <= 1_000_000) await lmdb.fill(count)
    for (const runtime of runtimes) {
      const times = answerOf<LookUpTimes>(runtime, 'lookup-child.ts', [store, lmdb.dir, `${count}`])
      rows.push(...rowsOf(full, count, runtime, times))
      ours.set(runtime.name, [...(ours.get(runtime.name) ?? []), times.ours])
    }
  }
  for (const runtime of runtimes) rows.push(...flatness(runtime, ours.get(runtime.name) ?? [], options))
  return rows
}

function rowsOf(full: number, count: number, runtime: Runtime, times: LookUpTimes): Row[] {
  const what = `look-up among ${count} results, ${runtime.name}`
  const rows = [rowOf(what, times.ours, times.bare, SPEED_BAR), rowOf(what, times.decoded, times.bare)]
  if (times.lmdb !== undefined && full <= 1_000_000)
    rows.push(rowOf(what, times.ours, times.lmdb, full === 1_000_000 ? SPEED_BAR : undefined))
  if (full === FLAT_FROM) rows.push(memoryRow(runtime, times))
  return rows
}

/** A million a second is a microsecond each. */
function memoryRow(runtime: Runtime, { memory, map }: LookUpTimes): Row {
  return {
    ...rowOf(`look-up of what is hot, ${runtime.name}`, memory, map),
    ratio: memory.medianMs * 1e6,
    bar: 1000,
    unit: 'ns',
  }
}

function flatness(runtime: Runtime, ours: readonly Timing[], options: BenchOptions): Row[] {
  const start = ours[SIZES.indexOf(FLAT_FROM)]
  const end = ours.at(-1)
  if (start === undefined || end === undefined || start === end) return []
  const size = scaled(options.curve ? CURVE_SIZE : (SIZES.at(-1) as number), options)
  const row = rowOf(`look-up among ${size} results, ${runtime.name}`, end, start, FLAT_BAR)
  return [
    {
      ...row,
      theirs: `${row.theirs}, among ${scaled(FLAT_FROM, options)}`,
      ratio: median(end.runsMs) / median(start.runsMs),
    },
  ]
}

if (import.meta.main) await runAlone(lookup)
