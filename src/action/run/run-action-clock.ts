import type { RunOutcome } from '../run-outcome.ts'

type Measured = 'startedMs' | 'durationMs' | 'ownMs' | 'savedMs'
const NOTHING = {
  source: undefined,
  outputs: [],
  outputBytes: 0,
  written: 0,
  isLeft: false,
  reason: undefined,
} as const

type Said = Pick<RunOutcome, 'status' | 'key' | 'exitCode'> & Partial<Omit<RunOutcome, Measured>>

/** Measures a run, and what of it is recue's own: neither the command nor waiting for others is. */
export class RunClock {
  readonly startedMs = Date.now()
  readonly #start = monotonicMs()
  #elsewhereMs = 0

  /** Time of the work does not count as recue's. */
  async elsewhere<T>(work: () => Promise<T>): Promise<T> {
    const start = monotonicMs()
    try {
      return await work()
    } finally {
      this.#elsewhereMs += monotonicMs() - start
    }
  }

  /** `commandMs`: of a hit, what the command took when it ran. */
  outcome(said: Said, commandMs = 0): RunOutcome {
    const durationMs = monotonicMs() - this.#start
    return {
      ...NOTHING,
      ...said,
      startedMs: this.startedMs,
      durationMs,
      ownMs: Math.max(0, durationMs - this.#elsewhereMs),
      savedMs: Math.max(0, commandMs - durationMs),
    }
  }
}

/** Not `performance.now`, which loads a module on Node when it is first asked: half a millisecond of every hit. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
