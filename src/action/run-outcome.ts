import type { ActionDigest } from '../digest/digest.ts'
import type { LeftOutputs } from './outputs/left-outputs.ts'
import type { Witness } from './witness.ts'

/**
 * - `hit`: replayed;
 * - `miss`: ran, and the result is kept;
 * - `uncached`: ran, and the result is not kept (`reason` says why);
 * - `bypassed`: ran without asking the cache (switched off, interactive, unusable).
 */
export type RunStatus = 'hit' | 'miss' | 'uncached' | 'bypassed'

/** What came of a run: the value that is reported, recorded in the ledger and printed. */
export interface RunOutcome {
  readonly status: RunStatus
  readonly key: ActionDigest | undefined
  /**
   * The command's own, 128+n when signal n ended it, 124 when `--timeout` did. Of a hit whose reader went away: 141, as if
   * SIGPIPE had ended the command.
   */
  readonly exitCode: number
  readonly startedMs: number
  readonly durationMs: number
  /** recue's own time within `durationMs`. */
  readonly ownMs: number
  /** Of a hit: what the command took when it ran, less `durationMs`; 0 else. */
  readonly savedMs: number
  /** Which tier a hit came from. */
  readonly source: 'local' | 'remote' | undefined
  /** Root-relative output files and links, restored or captured; sorted. */
  readonly outputs: readonly string[]
  /** Content bytes of the outputs. */
  readonly outputBytes: number
  /** Output files that had to be written on a hit; the rest was as it should be. */
  readonly written: number
  /** Of a hit at a remote: its outputs were left there, and the workspace as it was. */
  readonly isLeft: boolean
  /** Why it missed, was not kept, or was not asked for: one line; undefined on a hit. */
  readonly reason: string | undefined
}

/** What is said while a run goes on, for whoever shows it. */
export type RunNotice =
  /** The same work is being done elsewhere. `holder` is what it said of itself. */
  | { readonly kind: 'waiting'; readonly holder: string }
  /** Nothing was found: the command starts. */
  | { readonly kind: 'started' }
  /** Something the person should know; one line each, said once. */
  | { readonly kind: 'warning'; readonly text: string }
  /** Files of the user's that were in the way and moved aside. */
  | { readonly kind: 'trashed'; readonly paths: readonly string[]; readonly trash: string }

/** Where a run's output goes; a write is done when the bytes are accepted, so a slow reader slows the command. */
export interface OutputSink {
  stdout(chunk: Uint8Array): Promise<void> | void
  stderr(chunk: Uint8Array): Promise<void> | void
}

/** The right to run a command, among so many at once. */
export interface CommandTurn {
  /** Others were at it first. */
  readonly hasWaited: boolean
  /** Somebody else may: this one waits for something else, and takes another turn then. */
  giveBack(): void
}

/** What a run builds on and does not find in the workspace, since it was left at a remote. */
export interface LeftBefore {
  readonly outputs: readonly LeftOutputs[]
  /** Brings all of it, for a command that is to run; what it throws ends the run, as if it had not begun. */
  fetch(): Promise<void>
}

/** How a run is to be done; nothing of it is in the key. */
export interface RunOptions {
  readonly read: boolean
  readonly write: boolean
  /** Run even when a result is kept; the new one replaces it. */
  readonly force: boolean
  readonly cacheFailures: boolean
  /** Remove what recue recorded as its own in the outputs before the command runs. */
  readonly clean: boolean
  /** Give the command the terminal; keep nothing. */
  readonly interactive: boolean
  /** The command is told of a terminal of this width (FORCE_COLOR, COLUMNS); undefined: it is not. */
  readonly terminal: { readonly columns: number; readonly colours: boolean } | undefined
  /** Drop colour codes on a replay that were recorded only because a terminal was there. */
  readonly stripForcedColours: boolean
  readonly timeoutMs: number | undefined
  /** How long to wait for the same work elsewhere; undefined: as long as it takes. */
  readonly waitMs: number | undefined
  /** Root-relative globs of files that a command may leave outside its outputs without being told on. */
  readonly scratch: readonly string[]
  /** `replay`: which output of a hit is written to the sink. `live`: whether a miss's is. */
  readonly replayOutput: boolean
  readonly liveOutput: boolean
  readonly sink: OutputSink
  readonly notice: (notice: RunNotice) => void
  /**
   * Waited for before the command begins, not before what is kept is looked up. Whoever gives it takes it back when the run has
   * ended. What it throws ends the run, as if it had not begun.
   */
  readonly turn?: (() => Promise<CommandTurn>) | undefined
  /** Without it all is there that the run builds on. */
  readonly left?: LeftBefore | undefined
  /**
   * Other work builds on this: told of outputs that are left at a remote, which are then left only where nothing stands in their
   * place.
   */
  readonly onLeft?: ((outputs: LeftOutputs) => void) | undefined
  /**
   * This process is there for the command alone: SIGINT, SIGTERM and SIGHUP do not end it while the command runs, but
   * reach the command, which is waited for. A library leaves its host's signals as they are.
   */
  readonly hostSignals?: boolean
  readonly witness?: Witness | undefined
  readonly signal?: AbortSignal
}
