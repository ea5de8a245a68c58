import { spawnSync } from 'node:child_process'

/** A whole process that is timed. Nothing but the process itself is in the time. */
export interface Contender {
  readonly name: string
  readonly argv: readonly [string, ...string[]]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Brings about the situation to be measured, before each run and outside the time. */
  readonly prepare?: () => void
}

export interface Timing {
  readonly name: string
  readonly medianMs: number
  readonly runsMs: readonly number[]
}

/**
 * Runs A B C A B C …, so that whatever slows the machine for a while slows all of them, and throws when a run fails: a
 * figure of something that did not work is worse than none. One round before the first is not counted.
 */
export function pairedRuns(contenders: readonly Contender[], rounds: number): Timing[] {
  const runsMs = contenders.map((): number[] => [])
  for (let round = -1; round < rounds; round++) {
    contenders.forEach((contender, index) => {
      const ms = timed(contender)
      if (round >= 0) runsMs[index]?.push(ms)
    })
  }
  return contenders.map(({ name }, index) => {
    const runs = runsMs[index] ?? []
    return { name, medianMs: median(runs), runsMs: runs }
  })
}

/** The median of the ratios of runs made one after the other: steadier than the ratio of two medians. */
export function medianRatio(ours: Timing, theirs: Timing): number {
  return median(ours.runsMs.map((ms, round) => ms / (theirs.runsMs[round] ?? Number.NaN)))
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** Runs it once, untimed: to fill a cache. Throws with what it printed when it fails. */
export function once(contender: Contender): string {
  const [program, ...args] = contender.argv
  contender.prepare?.()
  const result = spawnSync(program, args, {
    cwd: contender.cwd,
    env: environment(contender),
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  })
  if (result.status !== 0) throw failure(contender, result)
  return `${result.stdout}${result.stderr}`
}

function timed(contender: Contender): number {
  const [program, ...args] = contender.argv
  contender.prepare?.()
  const env = environment(contender)
  const start = process.hrtime.bigint()
  const result = spawnSync(program, args, { cwd: contender.cwd, env, stdio: ['ignore', 'ignore', 'ignore'] })
  const ms = Number(process.hrtime.bigint() - start) / 1e6
  if (result.status !== 0) throw failure(contender, result)
  return ms
}

/** `CI` would switch daemons off and colours on or off; each contender says itself what it wants. */
function environment(contender: Contender): NodeJS.ProcessEnv {
  const { CI: _ci, NODE_OPTIONS: _options, ...rest } = process.env
  return { ...rest, ...contender.env }
}

function failure(contender: Contender, result: { status: number | null; error?: Error; stderr?: unknown }): Error {
  const said = `${result.error?.message ?? ''}${result.stderr ?? ''}`.slice(0, 2000)
  return new Error(`${contender.name}: ${contender.argv.join(' ').slice(0, 300)} ended with ${result.status}\n${said}`)
}
