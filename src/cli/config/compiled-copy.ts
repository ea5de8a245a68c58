import { lstatSync } from 'node:fs'
import { isRacy, type StatIdentity, sameIdentity, statIdentity } from '../../digest/stat-identity.ts'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import { VERSION } from '../../version.ts'
import type { ConfigDocument } from './project.ts'

/** A checked config as this machine keeps it, so that a hit need not parse, check or run it. */
interface CompiledCopy {
  readonly version: string
  readonly identity: StatIdentity
  /** Null: the file has no config in it (a package.json without the key). */
  readonly document: ConfigDocument | null
}

/** The document as it was checked, if the file has not changed since; undefined otherwise. Null: no config in that file. */
export function loadCompiledCopy(records: WorkspaceRecords, file: string): ConfigDocument | null | undefined {
  const record = records.load('config', file)
  const identity = identityOf(file)
  if (record === undefined || identity === undefined) return undefined
  const copy = JSON.parse(Buffer.from(record.buffer, record.byteOffset, record.byteLength).toString()) as CompiledCopy
  return copy.version === VERSION && sameIdentity(copy.identity, identity) ? copy.document : undefined
}

/** `before`: what {@link identityOf} said, and when, before the file was read. Failing is not an error, only slower next time. */
export async function saveCompiledCopy(
  records: WorkspaceRecords,
  file: string,
  before: { readonly identity: StatIdentity; readonly takenAtMs: number },
  document: ConfigDocument | undefined,
): Promise<void> {
  if (isRacy(before.identity, before.takenAtMs)) return
  const copy: CompiledCopy = { version: VERSION, identity: before.identity, document: document ?? null }
  try {
    await records.save('config', file, Buffer.from(JSON.stringify(copy)))
  } catch {
    // A read-only or full cache folder: the next run reads the config again.
  }
}

/** Undefined when it is not there, and for a link, whose own identity says nothing of what it points to. */
export function identityOf(file: string): StatIdentity | undefined {
  const stats = lstatSync(file, { throwIfNoEntry: false })
  return stats?.isFile() ? statIdentity(stats) : undefined
}
