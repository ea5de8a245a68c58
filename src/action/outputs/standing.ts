import type { Digest } from '../../digest/digest.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Witness } from '../witness.ts'
import type { Workspace } from '../workspace.ts'
import type { RestoreOutcome } from './restore-outcome.ts'
import { loadRecord, recordedFiles, recordName } from './workspace-record.ts'

/**
 * What a restore would come to when nothing of it is left to do, by the workspace's record and the identity of each file;
 * undefined when there may be something. Looks only, so it may be asked while others write the same outputs.
 */
export function standing(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  resultDigest: Digest,
  witness?: Witness,
): Extract<RestoreOutcome, { kind: 'restored' }> | undefined {
  const record = loadRecord(workspace, recordName(workspace, outputs))
  if (record === undefined || record.result.hash !== resultDigest.hash) return undefined
  // A relative path is resolved faster.
  const base = isWorkingDirectory(workspace.root) ? '' : `${workspace.root}/`
  if (record.snapshot.nextChange(base) >= 0) return undefined
  witness?.held('outputs', record.snapshot)
  return { kind: 'restored', files: recordedFiles(record), written: 0, bytes: record.bytes, trashed: [], left: [] }
}

function isWorkingDirectory(root: string): boolean {
  try {
    return process.cwd() === root
  } catch {
    return false
  }
}
