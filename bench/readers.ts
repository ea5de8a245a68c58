import path from 'node:path'
import { openBenchStore, putActions } from './action-store.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, shownTime } from './benchmark.ts'
import { Crew } from './child-script.ts'
import { median } from './paired-runs.ts'
import { inFolder } from './place.ts'

/**
 * Eight processes look up results and read blobs as fast as they can: with nobody else there, and while a ninth saves
 * without a pause and collects. What is compared is the slowest hundredth of their reads.
 */
export const readers: Benchmark = {
  name: 'readers',
  run: (options) => inFolder('readers', (folder) => measure(folder, options)),
}

const READERS = 8
const RESULTS = 100_000
const READS = 10_000
const ROUNDS = 5
const BAR = 3

export interface Latencies {
  readonly p50Ms: number
  readonly p99Ms: number
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const dir = path.join(folder, 'store')
  const count = scaled(RESULTS, options, 1000)
  {
    await using store = await openBenchStore(dir)
    await putActions(store, 0, count)
  }
  using crew = new Crew(
    'readers-child.ts',
    Array.from({ length: READERS }, (_, i) => ['read', dir, `${count}`, `${i}`]),
  )
  using writer = new Crew('readers-child.ts', [['write', dir, `${count}`, '0']])
  const word = `${scaled(READS, options, 500)}`
  const idle: Latencies[] = []
  const busy: Latencies[] = []
  const saved: number[] = []
  await crew.ask(word)
  for (let round = 0; round < scaled(ROUNDS, options, 3); round++) {
    idle.push(await latencies(crew, word))
    await writer.ask('start')
    busy.push(await latencies(crew, word))
    saved.push(...(await writer.ask<{ saved: number }>('stop')).map((answer) => answer.saved))
  }
  return [rowOfBoth('p50', idle, busy, 'p50Ms', saved), rowOfBoth('p99', idle, busy, 'p99Ms', saved, BAR)]
}

/** The median reader's figures. */
async function latencies(crew: Crew, word: string): Promise<Latencies> {
  const all = await crew.ask<Latencies>(word)
  return { p50Ms: median(all.map(({ p50Ms }) => p50Ms)), p99Ms: median(all.map(({ p99Ms }) => p99Ms)) }
}

function rowOfBoth(
  name: string,
  idle: readonly Latencies[],
  busy: readonly Latencies[],
  which: keyof Latencies,
  saved: readonly number[],
  bar?: number,
): Row {
  const [before, during] = [idle, busy].map((rounds) => rounds.map((round) => round[which])) as [number[], number[]]
  return {
    what: `${name} of reads of ${READERS} processes`,
    ours: `while ${median(saved)} were saved ${shownTime(median(during))}`,
    theirs: `nobody else ${shownTime(median(before))}`,
    ratio: median(during.map((ms, round) => ms / (before[round] as number))),
    ...(bar === undefined ? {} : { bar }),
  }
}

if (import.meta.main) await runAlone(readers)
