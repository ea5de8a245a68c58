/**
 * How far a fleet of `recue serve` goes: what one task costs is measured here, on this machine, or taken as it was noted; what a team, its
 * machines and its storage are like is assumed, and each assumption is a flag. The rest is arithmetic and simulation.
 *
 *   node bench/fleet-capacity.ts [--noted] [--scale 0.2] [--builds-per-day 10000] [--hit-rate 0.8] …
 */
import { parseArgs } from 'node:util'
import { BLOBS_PER_RESULT, BYTES_PER_BLOB, type FleetFigures, measureFleet } from './fleet-measured.ts'
import { type Assumed, buildCost, GIB, nearShareOf, peakOf, pressures, serversFor } from './fleet-model.ts'
import { inPlace } from './place.ts'

/** Of `node bench/fleet-capacity.ts` on two cores of an Intel Xeon, November 2026; four blobs of 24 KiB for each result. */
const NOTED: FleetFigures = {
  miss: { cpuMicros: 7020, s3Writes: 4, s3Reads: 4 },
  nearHit: { cpuMicros: 1770, s3Writes: 0, s3Reads: 0 },
  farHit: { cpuMicros: 5290, s3Writes: 0, s3Reads: 8.1 },
  redisBytesPerResult: 570,
}

const ASSUMED: Assumed = {
  buildsPerDay: 10_000,
  tasksPerBuild: 200,
  hitRate: 0.8,
  bytesPerResult: BLOBS_PER_RESULT * BYTES_PER_BLOB,
  peak: 4,
  parallel: 16,
  coresPerServer: 4,
  gigabitsPerServer: 5,
  diskGib: 100,
  redisGib: 8,
  redisPerSecond: 80_000,
  s3PerPrefixPerSecond: 3_500,
  keptDays: 30,
  skew: 0.8,
  perServerHour: 0.2,
  perGbMonth: 0.023,
  perMillionWrites: 5,
  perMillionReads: 0.4,
  perGbOut: 0,
}
/** A server is to have room for another's work, and nobody is to notice it. */
const BOUNDS = { mostMs: 50, mostUse: 0.6 }

const flagOf = (name: string) => name.replace(/[A-Z]+/g, (letters) => `-${letters.toLowerCase()}`)
const names = Object.keys(ASSUMED) as (keyof Assumed)[]
const { values } = parseArgs({
  options: {
    noted: { type: 'boolean', default: false },
    scale: { type: 'string', default: '1' },
    ...Object.fromEntries(names.map((name) => [flagOf(name), { type: 'string' } as const])),
  },
}) as { values: Record<string, string | boolean | undefined> }
const said = names.flatMap((name) => (values[flagOf(name)] === undefined ? [] : [[name, Number(values[flagOf(name)])]]))
const assumed: Assumed = { ...ASSUMED, ...Object.fromEntries(said) }
const figures = values.noted
  ? NOTED
  : await inPlace('fleet-capacity', (folder) => measureFleet(folder, Number(values.scale)))

const keptResults = assumed.buildsPerDay * assumed.tasksPerBuild * (1 - assumed.hitRate) * assumed.keptDays
const nearShare = nearShareOf(assumed, keptResults, assumed.diskGib * GIB)
const build = buildCost(assumed, figures, nearShare)
const servers = serversFor(assumed, build, BOUNDS)
const { p99Ms, processorUse, linkUse } = peakOf(assumed, build, servers)

print(
  `What a task costs a fleet, ${values.noted ? 'as noted' : 'measured here'}`,
  ['', 'processor', 'S3 writes', 'S3 reads'],
  [
    ...(['miss', 'nearHit', 'farHit'] as const).map((kind) => {
      const { cpuMicros, s3Writes, s3Reads } = figures[kind]
      const words = { miss: 'miss, then kept', nearHit: "hit, on the server's disk", farHit: 'hit, from the bucket' }[
        kind
      ]
      return [words, `${(cpuMicros / 1000).toFixed(2)} ms`, s3Writes.toFixed(1), s3Reads.toFixed(1)]
    }),
    ['memory of the Redis for a result', `${figures.redisBytesPerResult.toFixed(0)} bytes`, '', ''],
  ],
)

print(
  `Assumed: ${names.map((name) => `--${flagOf(name)} ${assumed[name]}`).join(' ')}`,
  ['a build', ''],
  [
    ['processor time of servers', `${(build.cpuMicros / 1e6).toFixed(2)} s`],
    ['requests to the bucket', `${build.s3Writes.toFixed(0)} writes, ${build.s3Reads.toFixed(0)} reads`],
    ['bytes into a server, out of it', `${mib(build.bytesIn)}, ${mib(build.bytesOut)}`],
    [
      'kept after that time',
      `${(keptResults / 1e6).toFixed(1)} million results, ${((keptResults * assumed.bytesPerResult) / GIB).toFixed(0)} GiB`,
    ],
  ],
)

print(
  'Hits that the disk of one server has',
  ['disk', 'of all that is kept', 'hits'],
  [
    ...[1 / 256, 1 / 64, 1 / 16, 1 / 4, 1 / 2].map((share) => {
      const bytes = keptResults * assumed.bytesPerResult * share
      return [
        `${(bytes / GIB).toFixed(0)} GiB`,
        `1/${1 / share}`,
        `${(100 * nearShareOf(assumed, keptResults, bytes)).toFixed(0)} %`,
      ]
    }),
    [`${assumed.diskGib} GiB (--disk-gib)`, '', `${(100 * nearShare).toFixed(0)} %`],
  ],
)

print(
  `Servers, at a peak of ${assumed.peak} times the mean; 99 of 100 wait ${BOUNDS.mostMs} ms at most, and ${100 * BOUNDS.mostUse} % is used`,
  ['builds a day', 'servers', 'wait, 99 of 100', 'processors', 'links'],
  [
    ...[1, 10, 100].map((times) => {
      const more = { ...assumed, buildsPerDay: assumed.buildsPerDay * times }
      const count = times === 1 ? servers : serversFor(more, build, BOUNDS)
      const at = times === 1 ? { p99Ms, processorUse, linkUse } : peakOf(more, build, count)
      return [
        `${more.buildsPerDay}`,
        `${count}`,
        `${at.p99Ms.toFixed(1)} ms`,
        percent(at.processorUse),
        percent(at.linkUse),
      ]
    }),
  ],
)

const at = [1, 10, 100].map((times) =>
  pressures({ ...assumed, buildsPerDay: assumed.buildsPerDay * times }, build, figures, servers),
)
print(
  `What runs out first with ${servers} server${servers === 1 ? '' : 's'}: of each, how much the busiest second uses`,
  ['', '1x', '10x', '100x'],
  [
    ...[...(at[0] as ReadonlyMap<string, number>)]
      .sort((a, b) => b[1] - a[1])
      .map(([what]) => [what, ...at.map((each) => percent(each.get(what) as number))]),
  ],
)

const daysPerMillion = 1e6 / assumed.buildsPerDay
const storedGB = (keptResults * assumed.bytesPerResult) / 1e9
const costs: [string, number][] = [
  ['servers', servers * 24 * daysPerMillion * assumed.perServerHour],
  ['what is kept in the bucket', storedGB * assumed.perGbMonth * (daysPerMillion / 30)],
  ['writes to the bucket', build.s3Writes * assumed.perMillionWrites],
  ['reads from the bucket', build.s3Reads * assumed.perMillionReads],
  [
    'bytes out of the region',
    ((assumed.tasksPerBuild * assumed.hitRate * assumed.bytesPerResult * 1e6) / 1e9) * assumed.perGbOut,
  ],
]
print(
  'A million builds, at the prices that are assumed',
  ['', 'cost'],
  [
    ...costs.map(([what, cost]) => [what, cost.toFixed(0)]),
    ['all', costs.reduce((sum, [, cost]) => sum + cost, 0).toFixed(0)],
  ],
)

function print(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width)).join(' | ')} |`
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  process.stdout.write(`${title}\n\n${[line(head), rule, ...rows.map(line)].join('\n')}\n\n`)
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
}
