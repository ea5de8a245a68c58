import type { KeyedAction } from '../key/keyed-action.ts'
import type { Cleaned } from '../outputs/clean.ts'
import { dropRemade } from '../outputs/clean-aside.ts'
import { forgetLeftovers, rememberLeftovers } from '../outputs/leftovers.ts'
import type { ActiveRun } from './run-action-active.ts'

/** After a run that had a clean start, however it ended: what the next one may put aside, and what this one did. */
export async function settleLeftovers(
  run: ActiveRun,
  action: KeyedAction,
  cleaned: Cleaned,
  isKept: boolean,
): Promise<void> {
  const { workspace } = run
  run.trashed(dropRemade(workspace.root, cleaned.aside))
  if (isKept) await forgetLeftovers(workspace, action.outputs)
  else await rememberLeftovers(workspace, action.outputs, cleaned.foreign)
}
