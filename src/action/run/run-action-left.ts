import { lstatSync } from 'node:fs'
import type { KeyedAction } from '../key/keyed-action.ts'
import { listed } from '../listed-paths.ts'
import { leftOutputs } from '../outputs/left-outputs.ts'
import type { RestoreOutcome } from '../outputs/restore-outcome.ts'
import type { ActiveRun } from './run-action-active.ts'
import type { Hit } from './run-action-look.ts'

/**
 * A hit whose outputs stay at the remote cache that has them: nothing is fetched, and nothing in the workspace changes. Undefined
 * where there are none: a restore then only takes away what is stale. And where other work builds on them, which could not tell
 * what would be there.
 */
export async function leftFar(
  run: ActiveRun,
  action: KeyedAction,
  { result }: Hit,
): Promise<RestoreOutcome | undefined> {
  const { outputFiles, outputDirectories, outputSymlinks, outputFileSymlinks, outputDirectorySymlinks } = result
  const outputs = [outputFiles, outputDirectories, outputSymlinks, outputFileSymlinks, outputDirectorySymlinks]
  if (outputs.every(({ length }) => length === 0)) return undefined
  const { onLeft, signal } = run.options
  if (onLeft !== undefined) {
    const left = await run.attempt(() => leftOutputs(run.workspace, action.outputs, result, signal))
    if (left !== undefined) onLeft(left)
    return left && NOTHING_DONE
  }
  const older = action.outputs.filter(({ kind, path }) => kind === 'path' && isThere(`${run.request.root}/${path}`))
  if (older.length > 0)
    run.warn(`Not of this result, which was not fetched: ${listed(older.map(({ path }) => path))}. It stays as it was.`)
  return NOTHING_DONE
}

const NOTHING_DONE: RestoreOutcome = { kind: 'restored', files: [], bytes: 0, written: 0, trashed: [], left: [] }

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
