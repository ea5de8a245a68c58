import type { Foreign } from '../outputs/clean-foreign.ts'
import type { CommandEnd } from './run-action-command.ts'
import type { StreamCapture } from './stream-capture.ts'

/** What a command did, and what is needed to judge it. */
export interface Done {
  readonly end: CommandEnd
  readonly streams: StreamCapture
  /** By the clock that files are stamped with, before the command began. */
  readonly sinceMs: number
  /** What was in the outputs before it and is not recue's. */
  readonly foreign: readonly Foreign[]
}
