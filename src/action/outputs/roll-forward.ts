import { rmSync } from 'node:fs'
import { isCacheError } from '../../errors.ts'
import type { Workspace } from '../workspace.ts'
import { decodeRestoreRecord, type RestoreRecord, restoreLease, unfinishedRestores } from './restore-record.ts'
import { takeSteps } from './restore-steps.ts'
import { isStagingFolder } from './staging.ts'
import { saveRecord } from './workspace-record.ts'

/**
 * Completes the restores of this workspace that were killed half-way; the first thing a run here does. A file that is
 * neither what stood there before nor what was to come is left as it is, and `blocked` names it once; where the file
 * system refuses, the restore stays unfinished, and `blocked` says so each time. Waits for restores that are alive.
 */
export async function rollForward(workspace: Workspace): Promise<'none' | 'done' | { readonly blocked: string }> {
  if (unfinishedRestores(workspace).length === 0) return 'none'
  await using lease = await workspace.leases.hold(restoreLease(workspace))
  void lease
  const blocked: string[] = []
  // Asked again: those that were alive have ended while this waited.
  const names = unfinishedRestores(workspace)
  for (const name of names) blocked.push(...(await complete(workspace, name)))
  if (blocked.length > 0) return { blocked: blocked.join('; ') }
  return names.length === 0 ? 'none' : 'done'
}

async function complete(workspace: Workspace, name: string): Promise<string[]> {
  const { root, records } = workspace
  const bytes = records.load('restore', name)
  const record = bytes && decodeRestoreRecord(bytes)
  if (record === undefined) {
    await records.remove('restore', name)
    return []
  }
  try {
    const { skipped } = takeSteps(root, record.steps)
    await finish(workspace, name, record)
    return skipped.map((path) => `"${path}" is neither what it was nor what it was to be, and was left so`)
  } catch (error) {
    if (!isCacheError(error) || error.code !== 'restore.failed') throw error
    return [error.message]
  }
}

async function finish(workspace: Workspace, name: string, { folder, steps, outputs }: RestoreRecord): Promise<void> {
  if (steps.length > 0) await saveRecord(workspace, name, outputs)
  if (isStagingFolder(workspace, folder)) rmSync(folder, { recursive: true, force: true })
  await workspace.records.remove('restore', name)
}
