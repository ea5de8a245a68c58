import type { LeftOutputs } from '../outputs/left-outputs.ts'
import type { RunNotice, RunOutcome } from '../run-outcome.ts'
import { keyOverLeft } from './key-over-left.ts'
import { ActiveRun } from './run-action-active.ts'
import { replayHit } from './run-action-hit.ts'
import { look } from './run-action-look.ts'

/**
 * Replays what is kept of work whose inputs are in part outputs that were left at a remote: its key is made of what would stand
 * there. Undefined where nothing is kept, or it cannot be told whether a key made of the files themselves would be the same:
 * then what was left has to be fetched, and nothing was done or said here.
 */
export async function replayOverLeft(given: ActiveRun, left: readonly LeftOutputs[]): Promise<RunOutcome | undefined> {
  const held: RunNotice[] = []
  // What goes wrong here goes wrong again, or not at all.
  const notice = (said: RunNotice) => void (said.kind === 'waiting' ? given.options.notice(said) : held.push(said))
  const run = new ActiveRun(given.request, given.engine, { ...given.options, notice }, given.means)
  const action = await keyOverLeft(run.request, run.workspace, left, { signal: run.options.signal })
  if (action === undefined) return undefined
  const found = await look(run, action)
  if (found.kind === 'miss') return undefined
  const end = await replayHit(run, action, found.hit)
  if (end.kind !== 'replayed') return undefined
  for (const said of held) given.options.notice(said)
  return end.outcome
}
