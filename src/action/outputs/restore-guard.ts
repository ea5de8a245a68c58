import type { Workspace } from '../workspace.ts'
import { encodeRestoreRecord, restoreLease, type Step } from './restore-record.ts'
import type { EncodedRecord } from './workspace-record.ts'

/** A restore that others see: as long as it is not done, its record stands, and its lease says whether it is alive. */
export interface RestoreGuard extends AsyncDisposable {
  /** Writes down all steps, before the first of them is taken. */
  begin(steps: readonly Step[], outputs: EncodedRecord): Promise<void>
  /** Nothing is left to do: the record goes. Without this, the next run here rolls it forward. */
  done(): Promise<void>
}

/** Waits for other restores of this workspace; from then on, its staging folder is found by whoever comes after a crash. */
export async function guardRestore(
  workspace: Pick<Workspace, 'root' | 'records' | 'leases'>,
  name: string,
  folder: string,
  signal?: AbortSignal,
): Promise<RestoreGuard> {
  const { records, leases } = workspace
  const lease = await leases.hold(restoreLease(workspace), signal === undefined ? {} : { signal })
  const save = (steps: readonly Step[], outputs: EncodedRecord) =>
    records.save('restore', name, encodeRestoreRecord({ folder, steps, outputs }))
  let hasBegun = false
  await save([], { stats: new Uint8Array(0), digests: new Uint8Array(0) })
  return {
    async begin(steps, outputs) {
      await save(steps, outputs)
      hasBegun = true
    },
    done: () => records.remove('restore', name),
    async [Symbol.asyncDispose]() {
      if (!hasBegun) await records.remove('restore', name)
      await lease[Symbol.asyncDispose]()
    },
  }
}
