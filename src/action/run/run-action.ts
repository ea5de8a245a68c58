import { keyOf } from '../key/key.ts'
import type { KeyedAction } from '../key/keyed-action.ts'
import { unfinishedRestores } from '../outputs/restore-record.ts'
import type { ActionRequest } from '../request.ts'
import type { LeftBefore, RunOptions, RunOutcome } from '../run-outcome.ts'
import { ActiveRun, type Engine, type Means } from './run-action-active.ts'
import type { CommandEnd } from './run-action-command.ts'
import { replayHit } from './run-action-hit.ts'
import { look } from './run-action-look.ts'
import type { Prepared } from './run-action-prepared.ts'
import type { StreamCapture } from './stream-capture.ts'

/**
 * One run, from the request to its outcome: the key, the look-up, and then either the restored outputs with the replayed
 * output, or the command itself. Throws a `CacheError` for a user's mistake, for a command that cannot be started, and
 * `wait.timed-out`; rejects with the signal's reason when aborted. Every fault of the cache is one warning instead, and
 * the command runs.
 */
export async function runAction(request: ActionRequest, engine: Engine, options: RunOptions): Promise<RunOutcome> {
  const replayed = options.left && (await replayOrFetch(request, engine, options, options.left))
  if (replayed !== undefined) return replayed
  if (options.interactive) return (await notKeeping()).runUncached(request, options, 'it was given the terminal')
  if (!options.read && !options.write)
    return (await notKeeping()).runUncached(request, options, 'the cache is switched off')
  return runKeyed(new ActiveRun(request, engine, options, OF_COMMANDS))
}

/** Undefined: what was left is there now, and all goes its usual way. */
async function replayOrFetch(
  request: ActionRequest,
  engine: Engine,
  options: RunOptions,
  left: LeftBefore,
): Promise<RunOutcome | undefined> {
  const { replayOverLeft } = await import('./run-action-over-left.ts')
  const run = new ActiveRun(request, engine, options, OF_COMMANDS)
  const replayed = options.interactive ? undefined : await replayOverLeft(run, left.outputs)
  if (replayed === undefined) await left.fetch()
  return replayed
}

/** The same for work that need not be a command of the caller's. */
export async function runKeyed(run: ActiveRun): Promise<RunOutcome> {
  const { request, engine, options } = run
  // Before the key: what a killed restore left half-done may be an input.
  const obstacle = await finishRestore(run)
  const { records, cacheDir, home } = engine
  const { signal, witness } = options
  const keyed = await keyOf(request, { records, cacheDir, home, witness, ...(signal && { signal }) })
  if (keyed.kind === 'unkeyable') return (await notKeeping()).runUnkept(run, keyed, undefined, keyed.reason)
  const { action } = keyed
  if (obstacle !== undefined) return (await notKeeping()).runUnkept(run, action, action.key, obstacle)
  return lookAndRun(run, action)
}

/** What a hit does not need is loaded when it is needed: the executable starts the faster for each module it leaves alone. */
const missing = () => import('./run-action-miss.ts')
const notKeeping = () => import('./run-action-unkept.ts')

const OF_COMMANDS: Means = { execute: (...asked) => runCommandOf(...asked), answersForStrays: true }

async function runCommandOf(run: ActiveRun, what: Prepared, streams: StreamCapture | undefined): Promise<CommandEnd> {
  const { runCommand } = await import('./run-action-command.ts')
  const { program, environment } = what
  const variables = withCacheDir(environment.variables, run.engine.cacheDir)
  return runCommand(run.request, { program, variables }, run.options, streams)
}

/** Where recue runs within the command, it finds the same cache, whatever folder it is in by then. */
function withCacheDir(variables: Prepared['environment']['variables'], cacheDir: string): typeof variables {
  return variables.RECUE_CACHE_DIR === undefined ? variables : { ...variables, RECUE_CACHE_DIR: cacheDir }
}

/** Why no result of this workspace may be kept, or undefined. */
async function finishRestore(run: ActiveRun): Promise<string | undefined> {
  const done = await run.attempt(async () => {
    if (unfinishedRestores(run.workspace).length === 0) return 'none'
    const { rollForward } = await import('../outputs/roll-forward.ts')
    return rollForward(run.workspace)
  })
  return typeof done === 'object' ? `an interrupted restore could not be finished: ${done.blocked}` : undefined
}

async function lookAndRun(run: ActiveRun, action: KeyedAction): Promise<RunOutcome> {
  const found = await look(run, action)
  if (found.kind === 'miss') return (await missing()).runMiss(run, action, found.reason)
  const end = await replayHit(run, action, found.hit)
  switch (end.kind) {
    case 'replayed':
      return end.outcome
    case 'refused':
      return (await notKeeping()).runUnkept(run, action, action.key, end.reason)
    case 'incomplete':
      return (await missing()).runMiss(run, action, end.reason)
  }
}
