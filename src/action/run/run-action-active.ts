import { isCacheError } from '../../errors.ts'
import type { ActionStore } from '../../store/contracts.ts'
import type { TieredStore } from '../../store/tiered/tiered.ts'
import type { ActionRequest } from '../request.ts'
import type { CommandTurn, RunOptions } from '../run-outcome.ts'
import type { Workspace } from '../workspace.ts'
import { RunClock } from './run-action-clock.ts'
import type { CommandEnd } from './run-action-command.ts'
import type { Prepared } from './run-action-prepared.ts'
import type { StreamCapture } from './stream-capture.ts'

/** What a run needs of a cache. */
export interface Engine extends Omit<Workspace, 'root'> {
  readonly actions: ActionStore
  /** The cache folder cannot be written, so nothing will be kept. */
  readonly isReadOnly?: boolean
  /** Where what this run keeps goes to other machines, too. */
  readonly fleet?: Fleet
  /** Of what is found at a remote, the outputs are not fetched. */
  readonly leavesOutputs?: boolean
}

/** Other machines, that may be at the same work. */
export interface Fleet {
  /** What is done and by whom, for those who wait for it. */
  readonly label: string
  /** What is known of the work beforehand. */
  about(): Promise<AboutWork>
  hold: TieredStore['hold']
}

export interface AboutWork {
  /** What is done, whatever it is done with: the same on all machines, and none of their business. */
  readonly thing: string
  /** How long it takes as a rule, in milliseconds; undefined where nobody knows. */
  readonly knownMs: number | undefined
  /** The same, or what is likely. */
  readonly likelyMs: number
}

/** Does the work itself. What it writes goes to `streams`, where there are any: then its result may be kept. */
export type Execute = (run: ActiveRun, what: Prepared, streams: StreamCapture | undefined) => Promise<CommandEnd>

/** How a run differs from that of a command of the caller's. */
export interface Means {
  readonly execute: Execute
  /** Files made in the root meanwhile are its doing. Not so of a function: the rest of its process goes on beside it. */
  readonly answersForStrays: boolean
  /** Older results are as none. */
  readonly maxAgeMs?: number | undefined
}

/** One run under way: what was asked for, what it may use, its clock, and its one warning. */
export class ActiveRun {
  readonly request: ActionRequest
  readonly engine: Engine
  readonly options: RunOptions
  readonly means: Means
  readonly workspace: Workspace
  readonly clock: RunClock = new RunClock()
  #fault: string | undefined
  #turn: CommandTurn | undefined

  constructor(request: ActionRequest, engine: Engine, options: RunOptions, means: Means) {
    this.request = request
    this.engine = engine
    this.options = options
    this.means = means
    this.workspace = { ...engine, root: request.root, workingDirectory: request.workingDirectory }
  }

  /** Why the cache is not used any more in this run; undefined while nothing went wrong. */
  get fault(): string | undefined {
    return this.#fault
  }

  /**
   * Work of the cache that the command must not suffer from: undefined when it failed, and a warning the first time that
   * something does. An abort of the whole run is passed on.
   */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.options.signal?.throwIfAborted()
      const text = textOf(error)
      // What is damaged was told already, by whoever found it.
      const isTold = isCacheError(error) && error.code === 'store.corrupt'
      if (this.#fault === undefined && !isTold) this.warn(`The cache is not used for this run: ${text}`)
      this.#fault ??= text
      return undefined
    }
  }

  /** Work that only makes the next run faster. */
  async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch {
      this.options.signal?.throwIfAborted()
    }
  }

  /** Before the command may begin; taken once is enough. True where others were waited for. */
  async takeTurn(): Promise<boolean> {
    const take = this.options.turn
    if (take === undefined || this.#turn !== undefined) return false
    this.#turn = await this.clock.elsewhere(take)
    return this.#turn.hasWaited
  }

  giveTurnBack(): void {
    this.#turn?.giveBack()
    this.#turn = undefined
  }

  /** The work, on its own time. */
  execute(what: Prepared, streams?: StreamCapture): Promise<CommandEnd> {
    return this.clock.elsewhere(() => this.means.execute(this, what, streams))
  }

  warn(text: string): void {
    this.options.notice({ kind: 'warning', text })
  }

  trashed(paths: readonly string[]): void {
    if (paths.length > 0) this.options.notice({ kind: 'trashed', paths, trash: this.engine.trashDir })
  }
}

function textOf(error: unknown): string {
  if (isCacheError(error) && error.hint !== undefined) return `${error.message} ${error.hint}`
  return error instanceof Error ? error.message : String(error)
}
