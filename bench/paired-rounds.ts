import { median, type Timing } from './paired-runs.ts'

/** Work within this process that is timed. */
export interface RoundContender {
  readonly name: string
  /** How many of what is measured one round does. */
  readonly times: number
  readonly round: () => void | Promise<void>
}

/** Milliseconds of the wall clock, and those that this process's threads had a processor: steadier where others work too. */
export const clocks = {
  wall: () => performance.now(),
  processor: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
} as const

/**
 * As `pairedRuns`, for what is too short for processes of its own: rounds in turn, each of many, the first one not counted.
 * The times are those of one.
 */
export async function pairedRounds(
  contenders: readonly RoundContender[],
  rounds: number,
  clock: () => number = clocks.wall,
): Promise<Timing[]> {
  const runsMs = contenders.map((): number[] => [])
  for (let round = -1; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const start = clock()
      await contender.round()
      if (round >= 0) runsMs[index]?.push((clock() - start) / contender.times)
    }
  }
  return contenders.map(({ name }, index) => {
    const runs = runsMs[index] ?? []
    return { name, medianMs: median(runs), runsMs: runs }
  })
}
