import { seeded } from './edited-packages.ts'
import type { FleetFigures, TaskCost } from './fleet-measured.ts'

/** What is assumed of a team, its machines and its storage. None of it is measured; all of it can be said on the command line. */
export interface Assumed {
  readonly buildsPerDay: number
  readonly tasksPerBuild: number
  /** Of the tasks; the others miss. */
  readonly hitRate: number
  /** All blobs of a result. */
  readonly bytesPerResult: number
  /** The busiest second against the mean of the day. */
  readonly peak: number
  /** Tasks that a build asks for at once. */
  readonly parallel: number
  readonly coresPerServer: number
  readonly gigabitsPerServer: number
  readonly diskGib: number
  readonly redisGib: number
  readonly redisPerSecond: number
  /** What the bucket answers in a second below each of the 256 prefixes of `cas/`. */
  readonly s3PerPrefixPerSecond: number
  readonly keptDays: number
  /** Of Zipf's law: how much more the first of all results is asked for than the others. */
  readonly skew: number
  readonly perServerHour: number
  readonly perGbMonth: number
  readonly perMillionWrites: number
  readonly perMillionReads: number
  readonly perGbOut: number
}

/** What a build asks of a fleet. */
export interface BuildCost {
  readonly cpuMicros: number
  readonly s3Writes: number
  readonly s3Reads: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** `nearShare`: of the hits, those that the server has on its own disk. */
export function buildCost(assumed: Assumed, figures: FleetFigures, nearShare: number): BuildCost {
  const { tasksPerBuild, hitRate, bytesPerResult } = assumed
  const hits = tasksPerBuild * hitRate
  const misses = tasksPerBuild - hits
  const sum = (of: (cost: TaskCost) => number) =>
    misses * of(figures.miss) + hits * (nearShare * of(figures.nearHit) + (1 - nearShare) * of(figures.farHit))
  return {
    cpuMicros: sum(({ cpuMicros }) => cpuMicros),
    s3Writes: sum(({ s3Writes }) => s3Writes),
    s3Reads: sum(({ s3Reads }) => s3Reads),
    // What goes to clients also comes from the bucket where it is not near, and what comes from clients goes to it.
    bytesIn: (misses + hits * (1 - nearShare)) * bytesPerResult,
    bytesOut: (hits + misses) * bytesPerResult,
  }
}

/**
 * The share of hits that a disk of `diskBytes` serves, that forgets what was not used for longest. Requests are independent, results
 * asked for by Zipf's law (the independent reference model); simulated over so many results of the mean size.
 */
export function nearShareOf({ skew, bytesPerResult }: Assumed, keptResults: number, diskBytes: number): number {
  const results = Math.min(keptResults, MOST_RESULTS)
  const room = Math.floor((diskBytes / bytesPerResult) * (results / keptResults))
  if (room >= keptResults || room >= results) return 1
  const random = seeded(7)
  const sums = new Float64Array(results)
  let sum = 0
  for (let i = 0; i < results; i++) {
    sum += 1 / (i + 1) ** skew
    sums[i] = sum
  }
  const pick = () => firstAbove(sums, random() * sum)
  // Of each result when it was last asked for, and all that were, in order: what is at the head and was asked for since stays.
  const last = new Int32Array(results).fill(-1)
  const order: number[] = []
  let [head, held, asked, found] = [0, 0, 0, 0]
  const requests = 6 * results
  for (let i = 0; i < requests; i++) {
    const one = pick()
    const isNear = last[one] !== -1
    if (!isNear) held++
    last[one] = i
    order.push(one)
    while (held > room) {
      const oldest = order[head] as number
      if (last[oldest] === head) {
        last[oldest] = -1
        held--
      }
      head++
    }
    if (i < requests / 2) continue
    asked++
    if (isNear) found++
  }
  return found / asked
}

const MOST_RESULTS = 50_000

function firstAbove(sums: Float64Array, value: number): number {
  let [low, high] = [0, sums.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sums[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** What somebody waited for a server's processor or link, in ms, 99 of 100 times at most. */
export interface Peak {
  readonly p99Ms: number
  readonly processorUse: number
  readonly linkUse: number
}

/**
 * The busiest seconds, task by task: builds begin at random times, each stays with one server (a connection does), and asks for so many
 * tasks at once. Each task takes its turn on the first processor of its server that is free, then on the link.
 */
export function peakOf(assumed: Assumed, build: BuildCost, servers: number): Peak {
  const { buildsPerDay, peak, tasksPerBuild, parallel, coresPerServer, gigabitsPerServer } = assumed
  const random = seeded(11)
  const perSecond = (buildsPerDay / 86_400) * peak
  const seconds = Math.min(60, Math.max(5, MOST_TASKS / (perSecond * tasksPerBuild)))
  const cpuMs = build.cpuMicros / 1000 / tasksPerBuild
  const linkMs = (build.bytesIn + build.bytesOut) / tasksPerBuild / (gigabitsPerServer * 125_000)
  const arrivals: { readonly atMs: number; readonly server: number }[] = []
  const builds = Math.max(1, Math.round(perSecond * seconds))
  for (let i = 0; i < builds; i++) {
    const startMs = random() * seconds * 1000
    const server = Math.floor(random() * servers)
    // In waves: the next tasks of a build wait for those before.
    for (let task = 0; task < tasksPerBuild; task++)
      arrivals.push({ atMs: startMs + Math.floor(task / parallel) * WAVE_MS + random() * WAVE_MS, server })
  }
  arrivals.sort((a, b) => a.atMs - b.atMs)
  const cores = Array.from({ length: servers }, () => new Float64Array(coresPerServer))
  const links = new Float64Array(servers)
  const waited = new Float64Array(arrivals.length)
  for (const [i, { atMs, server }] of arrivals.entries()) {
    const own = cores[server] as Float64Array
    const free = own.indexOf(Math.min(...own))
    const begunMs = Math.max(atMs, own[free] as number)
    // Sizes and times differ from task to task: exponentially, as an assumption.
    const doneMs = begunMs + cpuMs * -Math.log(1 - random())
    own[free] = doneMs
    const sentMs = Math.max(doneMs, links[server] as number)
    links[server] = sentMs + linkMs * -Math.log(1 - random())
    waited[i] = begunMs - atMs + (sentMs - doneMs)
  }
  waited.sort()
  const busy = perSecond * tasksPerBuild
  return {
    p99Ms: waited[Math.floor(waited.length * 0.99)] ?? 0,
    processorUse: (busy * cpuMs) / 1000 / (servers * coresPerServer),
    linkUse: (busy * linkMs) / 1000 / servers,
  }
}

const MOST_TASKS = 300_000
/** A command that is not in the cache takes about so long, and one that is no less than a moment. */
const WAVE_MS = 500

/** The fewest that keep the wait of 99 of 100 below `mostMs`, and processors and links at most so busy. */
export function serversFor(
  assumed: Assumed,
  build: BuildCost,
  { mostMs, mostUse }: { readonly mostMs: number; readonly mostUse: number },
): number {
  const alone = peakOf(assumed, build, 1)
  let servers = Math.max(1, Math.ceil(Math.max(alone.processorUse, alone.linkUse) / mostUse))
  while (peakOf(assumed, build, servers).p99Ms > mostMs) servers += Math.max(1, Math.floor(servers / 20))
  return servers
}

/** Of each thing that can run out, how much of it is used in the busiest second: above 1 it has run out. */
export function pressures(
  assumed: Assumed,
  build: BuildCost,
  figures: FleetFigures,
  servers: number,
): ReadonlyMap<string, number> {
  const { buildsPerDay, peak, tasksPerBuild, hitRate, keptDays, redisGib, redisPerSecond, s3PerPrefixPerSecond } =
    assumed
  const { processorUse, linkUse } = peakOf(
    { ...assumed, buildsPerDay: Math.min(buildsPerDay, 1_000_000) },
    build,
    servers,
  )
  const more = Math.max(1, buildsPerDay / 1_000_000)
  const perSecond = (buildsPerDay / 86_400) * peak
  const results = buildsPerDay * tasksPerBuild * (1 - hitRate) * keptDays
  return new Map([
    ['processors of the servers', processorUse * more],
    ['links of the servers', linkUse * more],
    ['memory of the Redis', (results * figures.redisBytesPerResult) / (redisGib * GIB)],
    // A look-up of each task, and of what misses GET and SET besides.
    ['requests to the Redis', (perSecond * tasksPerBuild * (1 + 2 * (1 - hitRate))) / redisPerSecond],
    [
      'requests to the bucket, of 256 prefixes',
      (perSecond * (build.s3Writes + build.s3Reads)) / 256 / s3PerPrefixPerSecond,
    ],
  ])
}

export const GIB = 2 ** 30
