import { medianRatio, type Timing } from './paired-runs.ts'

/** One line of the table: ours against theirs, and the bar where there is one. */
export interface Row {
  readonly what: string
  readonly ours: string
  readonly theirs: string
  readonly ratio: number
  /** The highest ratio that is good enough; undefined: for information. */
  readonly bar?: number
  /** How `ratio` is to be printed, where it is no ratio of times. */
  readonly unit?: string
}

export interface BenchOptions {
  /** 1 is the real size; 0.1 makes a quick look of a tenth of the files, bytes and rounds. */
  readonly scale: number
  /** Also what takes long, such as a curve up to 10 million entries. */
  readonly curve: boolean
}

export interface Benchmark {
  readonly name: string
  /** It runs where it is named, or with `--curve`. */
  readonly takesLong?: boolean
  readonly run: (options: BenchOptions) => Promise<readonly Row[]>
}

export function rowOf(what: string, ours: Timing, theirs: Timing, bar?: number): Row {
  return {
    what,
    ours: `${ours.name} ${shownTime(ours.medianMs)}`,
    theirs: `${theirs.name} ${shownTime(theirs.medianMs)}`,
    ratio: medianRatio(ours, theirs),
    ...(bar === undefined ? {} : { bar }),
  }
}

export function skippedRow(what: string, why: string): Row {
  return { what, ours: '', theirs: `skipped: ${why}`, ratio: Number.NaN }
}

export function scaled(count: number, options: BenchOptions, least = 1): number {
  return Math.max(least, Math.round(count * options.scale))
}

export function verdict(row: Row): string {
  if (row.bar === undefined || Number.isNaN(row.ratio)) return ''
  return row.ratio <= row.bar ? 'reached' : 'NOT reached'
}

export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.what,
    row.ours,
    row.theirs,
    shown(row, row.ratio),
    shown(row, row.bar),
    verdict(row),
  ])
  const all = [['what', 'recue', 'against', 'ratio', 'bar', ''], ...cells]
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? []
  const [head, ...body] = all.map(
    (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  )
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body].join('\n')
}

function shown(row: Row, value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return ''
  if (row.unit === undefined) return value >= 0.1 ? value.toFixed(2) : value.toPrecision(2)
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(1)} ${row.unit}`
}

/** In the unit that suits. */
export function shownTime(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  return ms >= 1 ? `${ms.toFixed(1)} ms` : `${(ms * 1000).toFixed(2)} us`
}

/** For a benchmark's file run by itself: `node bench/hit-200.ts --scale 0.2`. */
export async function runAlone(benchmark: Benchmark): Promise<void> {
  const flag = process.argv.indexOf('--scale')
  const scale = flag === -1 ? 1 : Number(process.argv[flag + 1])
  process.stdout.write(`${table(await benchmark.run({ scale, curve: process.argv.includes('--curve') }))}\n`)
}
