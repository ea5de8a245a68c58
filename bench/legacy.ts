import path from 'node:path'
import { openBenchStore, putActions } from './action-store.ts'
import { type Benchmark, type BenchOptions, type Row, rowOf, runAlone, scaled } from './benchmark.ts'
import { Crew } from './child-script.ts'
import { legacyWork } from './legacy-work.ts'
import { pairedRounds, type RoundContender } from './paired-rounds.ts'
import { inFolder } from './place.ts'

/**
 * Look-ups and saves against the JSON files of old cuenv, a lock and a sync each, as `src/migrate/legacy` does them: in one
 * process, and in eight at the same time on one cache. Each saves and looks up one after the other. Ours has a hundred
 * thousand results more than what is asked for.
 */
export const legacy: Benchmark = {
  name: 'legacy',
  run: (options) => inFolder('legacy', (folder) => measure(folder, options)),
}

/** 20 times as fast. */
const BAR = 1 / 20
const KNOWN = 1000
const MORE = 100_000
const PROCESSES = 8
const ROUNDS = 5

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const dirs = { recue: path.join(folder, 'recue'), legacy: path.join(folder, 'legacy') }
  await fill(dirs, scaled(MORE, options))
  const alone = await inOneProcess(dirs, options)
  return [...alone, ...(await inManyProcesses(dirs, options))]
}

async function fill(dirs: Dirs, count: number): Promise<void> {
  {
    await using store = await openBenchStore(dirs.recue)
    await putActions(store, 0, Math.max(KNOWN, count))
  }
  await using old = await legacyWork('legacy', dirs.legacy)
  await old.save(Array.from({ length: KNOWN }, (_, i) => i))
}

interface Dirs {
  readonly recue: string
  readonly legacy: string
}

async function inOneProcess(dirs: Dirs, options: BenchOptions): Promise<Row[]> {
  await using ours = await legacyWork('recue', dirs.recue)
  await using old = await legacyWork('legacy', dirs.legacy)
  const sides = [
    { name: 'recue', work: ours, next: 1_000_000 },
    { name: 'old format', work: old, next: 1_000_000 },
  ]
  const known = Array.from({ length: KNOWN }, (_, i) => (i * 7919) % KNOWN)
  // Few of the old ones, each of which waits for the disk; more of ours, or nothing could be seen.
  const counts = { recue: scaled(1000, options), 'old format': scaled(200, options) }
  const round = (act: (side: (typeof sides)[number], count: number) => Promise<void>): RoundContender[] =>
    sides.map((side) => {
      const times = counts[side.name as keyof typeof counts]
      return { name: side.name, times, round: () => act(side, times) }
    })
  const lookUps = await pairedRounds(
    round(({ work }, count) => work.lookUp(known.slice(0, count))),
    ROUNDS,
  )
  const gets = await pairedRounds(
    round(({ work }, count) => work.get(known.slice(0, count))),
    ROUNDS,
  )
  const saves = await pairedRounds(
    round(async (side, count) => {
      await side.work.save(Array.from({ length: count }, (_, i) => side.next + i))
      side.next += count
    }),
    ROUNDS,
  )
  return [
    pairRow('look-up, 1 process', lookUps, BAR),
    pairRow('look-up of a known key, 1 process', gets),
    pairRow('save, 1 process', saves, BAR),
  ]
}

async function inManyProcesses(dirs: Dirs, options: BenchOptions): Promise<Row[]> {
  const crew = (side: keyof Dirs) =>
    new Crew(
      'legacy-child.ts',
      Array.from({ length: PROCESSES }, (_, i) => [side, dirs[side], `${i}`]),
    )
  using ours = crew('recue')
  using old = crew('legacy')
  const contenders = (what: string): RoundContender[] =>
    [
      { name: 'recue', crew: ours, times: scaled(500, options) },
      { name: 'old format', crew: old, times: scaled(100, options) },
    ].map((side) => ({
      name: side.name,
      times: side.times * PROCESSES,
      round: async () => void (await side.crew.ask(`${what} ${side.times}`)),
    }))
  return [
    pairRow(`look-up, ${PROCESSES} processes`, await pairedRounds(contenders('lookUp'), ROUNDS), BAR),
    pairRow(
      `save, ${PROCESSES} processes, tasks that end together`,
      await pairedRounds(contenders('together'), ROUNDS),
      BAR,
    ),
    pairRow(`save, ${PROCESSES} processes, one after the other`, await pairedRounds(contenders('save'), ROUNDS), BAR),
  ]
}

function pairRow(what: string, [ours, old]: Awaited<ReturnType<typeof pairedRounds>>, bar?: number): Row {
  if (ours === undefined || old === undefined) throw new Error('a contender has no times')
  return rowOf(what, ours, old, bar)
}

if (import.meta.main) await runAlone(legacy)
