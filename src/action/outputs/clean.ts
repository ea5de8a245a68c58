import { statIdentity } from '../../digest/stat-identity.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { trackedIn } from './git-tracked.ts'
import type { Present } from './restore-compare.ts'
import { lookAt } from './restore-look.ts'
import { objectionToPlace } from './restore-objections.ts'
import { Clearing } from './restore-plan.ts'
import { takeSteps } from './restore-steps.ts'
import { readMounts } from './staging-mounts.ts'
import { trashFolder } from './trash.ts'
import { openVouchers, recordName } from './workspace-record.ts'

/** What came of a clean start: root-relative paths. */
export interface Cleaned {
  /** Files and links that recue had captured or restored there, unchanged since. */
  readonly deleted: readonly string[]
  /** What it did not know, moved to the trash. */
  readonly trashed: readonly string[]
}

/**
 * Empties the literal outputs before a command runs, so that nothing stale becomes part of its result. What a record
 * vouches for is deleted, what git tracks stays, all else goes to the trash. What globs match is never touched, and
 * neither is an output that is on another file system or no place for one any more.
 */
export async function clean(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  signal?: AbortSignal,
): Promise<Cleaned> {
  const mounts = readMounts()
  const present = outputs
    .filter(({ kind }) => kind === 'path')
    .flatMap(({ path }): Present[] => {
      if (objectionToPlace(workspace, path, mounts) !== undefined) return []
      const stats = lookAt(`${workspace.root}/${path}`)
      return stats === undefined ? [] : [{ path, identity: statIdentity(stats) }]
    })
  const clearing = new Clearing({
    root: workspace.root,
    vouchers: openVouchers(workspace, recordName(workspace, outputs)),
    tracked: await trackedIn(
      workspace.root,
      outputs,
      present.map(({ path }) => path),
      signal,
    ),
    mounts,
    trash: trashFolder(workspace.trashDir, Date.now()),
  })
  for (const output of present) clearing.clear(output)
  const skipped = new Set(takeSteps(workspace.root, clearing.steps()).skipped)
  const done = (paths: readonly string[]) => paths.filter((path) => !skipped.has(path)).sort()
  return { deleted: done(clearing.removed), trashed: done(clearing.trashed) }
}
