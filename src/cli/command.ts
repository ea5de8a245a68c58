import type { Cache } from '../cache.ts'
import type { COMMON_OPTIONS } from './common-options.ts'
import type { Project } from './config/project.ts'
import type { OptionTable, Values } from './options.ts'
import type { Output } from './output.ts'
import type { Layer, Settings } from './settings.ts'

/** One command of recue: `recue NAME …`. A file each, exporting `command`, loaded only when it is called. */
export interface Command<Table extends OptionTable = OptionTable> {
  readonly name: string
  /** One line for `recue --help`: an imperative, no full stop. */
  readonly summary: string
  /** How it is called, without `recue`: `why TASK|KEY|last`. The first is the main one. */
  readonly usage: readonly string[]
  /** A few sentences for `recue NAME --help`. */
  readonly description?: string
  /** Its own options, beside `COMMON_OPTIONS` and `STORE_OPTIONS`. */
  readonly options: Table
  /** Command lines worth copying, each with what it does. */
  readonly examples?: readonly { readonly line: string; readonly does: string }[]
  /** Exit codes beside 0 (done) and 125 (the user's mistake), for help. */
  readonly exits?: readonly { readonly code: number; readonly means: string }[]
  /** How many arguments it takes before `--`; more, or fewer, is a mistake that `main` reports. */
  readonly arguments?: { readonly min: number; readonly max: number }
  /** Whether words after `--` belong to a command line of their own (`run`, `key`). */
  readonly takesCommand?: boolean
  /** The exit code. Mistakes are thrown as `CacheError`; `main` prints them and finds their exit code. */
  run(context: CommandContext<Table>): Promise<number>
}

/** What a command is given. */
export interface CommandContext<Table extends OptionTable = OptionTable> {
  /** Words before `--` that are no options. */
  readonly args: readonly string[]
  /** Words after `--`; undefined when there was none. */
  readonly commandLine: readonly string[] | undefined
  /** By flag, by variable, or by default. What may also be set in a config is in {@link Session.settings} instead. */
  readonly options: Values<Table & typeof COMMON_OPTIONS>
  /** What flags and variables said of settings, before defaults. */
  readonly given: readonly Layer[]
  readonly output: Output
  /** Absolute; `--cwd` is in it. */
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal
  /** Opens the cache with every setting applied. Throws `store.unusable` and `store.newer-format`. */
  open(options?: OpenOptions): Promise<Session>
}

export interface OpenOptions {
  /**
   * Whether a config that is code may be run. Without: its compiled copy is used where it is fresh, and it is left out
   * where it is not. Commands that only look into the cache have no need of it. JSON is always read.
   */
  readonly evaluate?: boolean
  /** It will be asked many times: what is hot is kept in memory. */
  readonly longLived?: boolean
  /** It only looks around: what it looks up is not used by that. */
  readonly looksOnly?: boolean
  /** What a file said that the command was told to read: weaker than flags and variables, stronger than any config. */
  readonly said?: readonly Layer[]
}

/** The cache, opened for this workspace, and what was configured. */
export interface Session extends AsyncDisposable {
  readonly cache: Cache
  readonly settings: Settings
  readonly place: Place
  /** The project's config; undefined where there is none (or it was not evaluated). */
  readonly project: Project | undefined
  /** Who said what, strongest first. */
  readonly layers: readonly Layer[]
}

/** Where a command was started, by the rules of roots. */
export interface Place {
  /** Absolute real path. */
  readonly root: string
  /** Relative to the root, `/` between names. */
  readonly workingDirectory: string
  readonly configFile: string | undefined
}

/** Gives a command its types: `export const command = defineCommand({ … })`. */
export function defineCommand<const Table extends OptionTable>(command: Command<Table>): Command<Table> {
  return command
}
