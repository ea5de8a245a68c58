import type { RunOutcome } from '../action/run-outcome.ts'
import type { Work } from './work.ts'

/** What `--report` writes and `--json` prints of one run; `schema/run-report.schema.json` describes it. */
export interface RunReport {
  /** The task's name; null for a command line. */
  readonly task: string | null
  /** The program and its arguments. */
  readonly command: readonly string[]
  readonly status: RunOutcome['status']
  /** SHA-256 of the action in hex; null where none could be made. */
  readonly key: string | null
  readonly exitCode: number
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly durationMs: number
  /** recue's own share of it. */
  readonly ownMs: number
  readonly savedMs: number
  /** Where a hit came from. */
  readonly source: 'local' | 'remote' | null
  /** Relative to the root. */
  readonly outputs: readonly string[]
  readonly outputBytes: number
  /** Of a hit at a remote: its outputs were left there. */
  readonly isLeft: boolean
  /** Why it missed, was not kept, or was not asked for. */
  readonly reason: string | null
}

/** Of several tasks: one report each, in the order in which they ended. */
export interface RunsReport {
  readonly runs: readonly RunReport[]
  /** Tasks that were not begun, since one before them failed. */
  readonly notRun: readonly string[]
  readonly exitCode: number
  readonly durationMs: number
  readonly savedMs: number
}

export function reportOf({ task, request }: Work, outcome: RunOutcome): RunReport {
  return {
    task: task ?? null,
    command: request.argv,
    status: outcome.status,
    key: outcome.key?.hash ?? null,
    exitCode: outcome.exitCode,
    startedAt: new Date(outcome.startedMs).toISOString(),
    durationMs: rounded(outcome.durationMs),
    ownMs: rounded(outcome.ownMs),
    savedMs: rounded(outcome.savedMs),
    source: outcome.source ?? null,
    outputs: outcome.outputs,
    outputBytes: outcome.outputBytes,
    isLeft: outcome.isLeft,
    reason: outcome.reason ?? null,
  }
}

/** Microseconds are as fine as it was measured. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
