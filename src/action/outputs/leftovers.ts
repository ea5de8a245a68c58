import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { isRacy, type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import type { SnapshotEntry, TreeSnapshot } from '../../digest/tree-snapshot.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import type { Foreign } from './clean-foreign.ts'
import { lookAt } from './restore-look.ts'
import { objectionToPlace } from './restore-objections.ts'
import { readMounts } from './staging-mounts.ts'
import { contentHash, encodeRecord, loadRecord, NO_RESULT, recordName, saveRecord } from './workspace-record.ts'

/**
 * What runs that were not kept (they failed, were interrupted, their inputs changed) made in the literal outputs. No result
 * has it, so it is never deleted on this ground; but it was not there before such a run, so it may give way to the next.
 */
export interface Leftovers {
  /** The file or link was made by such a run, and nobody has changed it since. */
  has(path: string, now: StatIdentity): boolean
  hasFolder(path: string): boolean
}

type Records = Pick<Workspace, 'root' | 'records'>

const TYPE = 0o170000
const DIRECTORY = 0o040000

/** Those of this workspace, of whatever outputs they are recorded. Reads the records when first asked. */
export function openLeftovers(workspace: Records): Leftovers {
  let opened: readonly Part[] | undefined
  const find = <T>(path: string, ask: (snapshot: TreeSnapshot, i: number) => T) => {
    opened ??= openAll(workspace)
    return opened.some(({ snapshot, index }) => {
      const i = index.get(path)
      return i !== undefined && ask(snapshot, i)
    })
  }
  return {
    has: (path, now) => find(path, (snapshot, i) => isStill(snapshot, i, now, `${workspace.root}/${path}`)),
    hasFolder: (path) => find(path, (snapshot, i) => (snapshot.mode(i) & TYPE) === DIRECTORY),
  }
}

/**
 * Records what is in the literal outputs and was not before the command began, by `before`: what a clean start had left
 * there. What was there and has changed is not recorded: it may be the user's work.
 */
export async function rememberLeftovers(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  before: readonly Foreign[],
): Promise<void> {
  const takenAtMs = Date.now()
  const entries = newIn(workspace, outputs, before, takenAtMs)
  if (entries.length === 0) return forgetLeftovers(workspace, outputs)
  const record = encodeRecord(entries, { result: NO_RESULT, bytes: 0, takenAtMs })
  await saveRecord(workspace, recordName(workspace, outputs), record, 'leftovers')
}

/** All that is in the outputs is recorded as that of a result now. */
export async function forgetLeftovers(workspace: Records, outputs: readonly OutputDeclaration[]): Promise<void> {
  const name = recordName(workspace, outputs)
  if (workspace.records.load('leftovers', name) === undefined) return
  await Promise.all([
    workspace.records.remove('leftovers', name),
    workspace.records.remove('leftovers', `${name}#digests`),
  ])
}

interface Part {
  readonly snapshot: TreeSnapshot
  readonly index: ReadonlyMap<string, number>
}

function openAll(workspace: Records): readonly Part[] {
  const { records, root } = workspace
  const names = records.names('leftovers', `${root}//`).filter((name) => !name.endsWith('#digests'))
  return names.flatMap((name) => {
    const snapshot = loadRecord(workspace, name, 'leftovers')?.snapshot
    if (!snapshot?.attachDigests(records.load('leftovers', `${name}#digests`))) return []
    return [{ snapshot, index: snapshot.index() }]
  })
}

/** Content is asked only where the stamps cannot tell: of what was written right before it was recorded. */
function isStill(snapshot: TreeSnapshot, i: number, now: StatIdentity, absolute: string): boolean {
  if (snapshot.matches(i, now)) return true
  const recorded = snapshot.hash(i)
  if (recorded === undefined || snapshot.mode(i) !== now.mode || snapshot.sizeBytes(i) !== now.size) return false
  return contentHash(absolute, now) === recorded
}

function newIn(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  before: readonly Foreign[],
  takenAtMs: number,
): SnapshotEntry[] {
  const { root } = workspace
  const known = new Set<string>()
  for (const { path } of before) for (let at = path; at !== '.' && !known.has(at); at = dirname(at)) known.add(at)
  const mounts = readMounts()
  const found: SnapshotEntry[] = []
  const pending = outputs
    .filter(({ kind, path }) => kind === 'path' && objectionToPlace(workspace, path, mounts) === undefined)
    .map(({ path }) => path)
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stats = lookAt(`${root}/${path}`)
    if (stats === undefined) continue
    const identity = statIdentity(stats)
    if (stats.isDirectory()) {
      for (const name of namesIn(`${root}/${path}`)) pending.push(`${path}/${name}`)
      if (!known.has(path)) found.push({ path, identity, hash: undefined })
    } else if (!known.has(path) && (stats.isFile() || stats.isSymbolicLink())) {
      const hash = isRacy(identity, takenAtMs) ? contentHash(`${root}/${path}`, identity) : undefined
      found.push({ path, identity, hash })
    }
  }
  return found
}

/** A folder that cannot be read keeps what is in it. */
function namesIn(absolute: string): readonly string[] {
  try {
    return readdirSync(absolute)
  } catch {
    return []
  }
}
