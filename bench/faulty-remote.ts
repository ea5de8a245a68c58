import path from 'node:path'
import { type Runtime, runtimes } from '../test/e2e/runtimes.ts'
import { ServeProcess } from '../test/e2e/serve-process.ts'
import type { Faults } from '../test/fixtures/fault-proxy.ts'
import { type FaultProxyProcess, startFaultProxy } from '../test/fixtures/fault-proxy-process.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, shownTime } from './benchmark.ts'
import { type Built, FaultyBuild } from './faulty-build.ts'
import { median } from './paired-runs.ts'
import { inPlace } from './place.ts'

/**
 * What a build costs whose remote cache is at the end of a bad line, against the same build with no remote before and after it. All
 * on machines that have nothing; what they make is compared, and a difference ends the benchmark.
 */
export const faultyRemote: Benchmark = {
  name: 'faulty-remote',
  takesLong: true,
  run: (options) => inPlace('faulty-remote', (folder) => measure(folder, options)),
}

/** On two cores a minute and more. */
const TASKS = 70
const TASK_MS = 1_850
const MOST = 1.05
const HOLE_ROUNDS = 7
/** What one run may lose by a remote that swallows all; and what the noise of a process is, for the run after it. */
const HOLE_MS = { first: 150, next: 15 }

const BAD: Readonly<Record<string, Faults>> = {
  'answers after 200 ms': { upMs: 100, downMs: 100 },
  'loses 30 % of requests': { loss: { share: 0.3, of: 'requests', by: 'reset' } },
  'leaves 30 % of requests unanswered': { loss: { share: 0.3, of: 'requests', by: 'stall' } },
  'gives wrong bytes': { flipAfterBytes: 5_000 },
  'dies half-way through blobs': { cutAfterBytes: 100_000 },
  'is a black hole': { isHole: true },
  refuses: { connect: 'refused' },
}

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const build = new FaultyBuild(folder, {
    tasks: scaled(TASKS, options, 10),
    taskMs: Math.max(300, Math.min(1, 2 * options.scale) * TASK_MS),
  })
  await using filled = serve(path.join(folder, 'filled'))
  const filledPort = await portOf(filled)
  const { made } = build.build(`grpc://127.0.0.1:${filledPort}`)
  const right = (one: Built) => {
    if (one.made !== made) throw new Error('a build made other outputs than one that met no fault')
    return one
  }
  const found: [string, Built][] = []
  const before = right(build.build())
  for (const [what, faults] of Object.entries(BAD)) {
    await using empty = serve(path.join(folder, `empty ${what}`))
    for (const [has, port] of Object.entries({ nothing: await portOf(empty), all: filledPort })) {
      await using line = await badLine(port, faults)
      found.push([`a build with a remote that has ${has} and ${what}`, right(build.build(addressOf(line)))])
    }
  }
  // Both, since the machine may have become slower or faster meanwhile.
  const withoutMs = (before.ms + right(build.build()).ms) / 2
  const rows = found.map(([what, one]) => rowOf(what, one, withoutMs))
  return [...rows, ...(await hole(build, filledPort, scaled(HOLE_ROUNDS, options, 3)))]
}

function rowOf(what: string, ours: Built, withoutMs: number): Row {
  return {
    what,
    ours: `${shownTime(ours.ms)}, ${ours.hits} hits`,
    theirs: `no remote ${shownTime(withoutMs)}`,
    ...{ ratio: ours.ms / withoutMs, bar: MOST },
  }
}

/** A run for one task each, the first on its machine and the one after it. */
async function hole(build: FaultyBuild, port: number, rounds: number): Promise<Row[]> {
  await using line = await badLine(port, { isHole: true })
  const pairs = Array.from({ length: rounds }, () => ({
    ours: build.oneByOne(HOLE_TASKS, addressOf(line)),
    without: build.oneByOne(HOLE_TASKS),
  }))
  const timesOf = (kind: 'ours' | 'without', run: number) => median(pairs.map((pair) => pair[kind][run]?.ms ?? 0))
  const extraOf = (run: number) =>
    median(pairs.map(({ ours, without }) => (ours[run]?.ms ?? 0) - (without[run]?.ms ?? 0)))
  return Object.values(HOLE_MS).map((bar, run) => ({
    what: `what a run of one task loses by a black hole, ${run === 0 ? 'the first' : 'the next'}`,
    ours: shownTime(timesOf('ours', run)),
    theirs: `no remote ${shownTime(timesOf('without', run))}`,
    ...{ ratio: Math.max(0, extraOf(run)), bar, unit: 'ms' },
  }))
}

/** The first of the build's lengths and kinds, so that the second run is of a task as long as the first. */
const HOLE_TASKS = [0, 7]

function serve(cacheDir: string): ServeProcess {
  return new ServeProcess(runtimes[0] as Runtime, cacheDir, ['--http', '0', '--grpc', '0'])
}

async function portOf(server: ServeProcess): Promise<number> {
  return Number(new URL((await server.addresses()).grpc.replace('grpc:', 'http:')).port)
}

function badLine(port: number, faults: Faults): Promise<FaultProxyProcess> {
  return startFaultProxy({ to: { host: '127.0.0.1', port }, seed: 5, faults })
}

function addressOf({ host, port }: FaultProxyProcess): string {
  return `grpc://${host}:${port}`
}

if (import.meta.main) await runAlone(faultyRemote)
