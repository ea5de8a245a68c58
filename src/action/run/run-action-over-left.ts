import { isCacheError, systemCode } from '../../errors.ts'
import { Unsure, ViewWithLeft } from '../inputs/view-with-left.ts'
import { keyOf } from '../key/key.ts'
import type { KeyedAction, OutputDeclaration } from '../key/keyed-action.ts'
import { isVacant, type LeftOutputs } from '../outputs/left-outputs.ts'
import { clashingOutputs } from '../outputs/output-declarations.ts'
import { unfinishedRestores } from '../outputs/restore-record.ts'
import type { RunNotice, RunOutcome } from '../run-outcome.ts'
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
  const action = await keyOver(run, left)
  if (action === undefined) return undefined
  const found = await look(run, action)
  if (found.kind === 'miss') return undefined
  const end = await replayHit(run, action, found.hit)
  if (end.kind !== 'replayed') return undefined
  for (const said of held) given.options.notice(said)
  return end.outcome
}

async function keyOver(run: ActiveRun, left: readonly LeftOutputs[]): Promise<KeyedAction | undefined> {
  const { request, engine, workspace, options } = run
  const { records, cacheDir, home } = engine
  // What a tool's command prints may depend on what is not here.
  if (Object.keys(request.tools).length > 0) return undefined
  try {
    if (unfinishedRestores(workspace).length > 0) return undefined
    if (!left.every((outputs) => isVacant(workspace.root, outputs))) return undefined
    const entries = left.flatMap((outputs) => outputs.entries)
    const files = new ViewWithLeft(workspace.root, entries)
    const keyed = await keyOf(request, {
      ...{ records, cacheDir, home, files },
      ...(options.signal && { signal: options.signal }),
    })
    if (keyed.kind === 'unkeyable' || (await meets(keyed.action.outputs, left))) return undefined
    return keyed.action
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isCacheError(error) || error instanceof Unsure || systemCode(error) !== undefined) return undefined
    throw error
  }
}

/** What it writes itself would lie where others' outputs are to come. */
async function meets(outputs: readonly OutputDeclaration[], left: readonly LeftOutputs[]): Promise<boolean> {
  const others = left.flatMap((one) => one.outputs)
  return (await clashingOutputs(outputs, others)) !== undefined
}
