import { lstatSync } from 'node:fs'
import type { KeyedAction } from '../key/keyed-action.ts'
import { listed } from '../listed-paths.ts'
import type { RestoreOutcome } from '../outputs/restore-outcome.ts'
import type { ActiveRun } from './run-action-active.ts'
import type { Hit } from './run-action-look.ts'

/**
 * A hit whose outputs stay at the remote cache that has them: nothing is fetched, and nothing in the workspace changes. Undefined
 * where there are none: a restore then only takes away what is stale.
 */
export function leftFar(run: ActiveRun, action: KeyedAction, { result }: Hit): RestoreOutcome | undefined {
  const { outputFiles, outputDirectories, outputSymlinks, outputFileSymlinks, outputDirectorySymlinks } = result
  const outputs = [outputFiles, outputDirectories, outputSymlinks, outputFileSymlinks, outputDirectorySymlinks]
  if (outputs.every(({ length }) => length === 0)) return undefined
  const older = action.outputs.filter(({ kind, path }) => kind === 'path' && isThere(`${run.request.root}/${path}`))
  if (older.length > 0)
    run.warn(`Not of this result, which was not fetched: ${listed(older.map(({ path }) => path))}. It stays as it was.`)
  return { kind: 'restored', files: [], bytes: 0, written: 0, trashed: [], left: [] }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}
