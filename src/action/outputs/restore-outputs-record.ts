import { dirname } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { sha256Hex } from '../../digest/sha256.ts'
import { isRacy, type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import type { SnapshotEntry } from '../../digest/tree-snapshot.ts'
import type { Comparison } from './restore-compare.ts'
import { lookAt } from './restore-look.ts'
import type { Step } from './restore-record.ts'
import type { ResultEntry } from './result-tree.ts'
import type { Part } from './staging.ts'
import { type EncodedRecord, encodeRecord, NO_RESULT } from './workspace-record.ts'

/** A result and how the workspace compared with it. */
export interface Compared {
  readonly resultDigest: Digest
  readonly entries: readonly ResultEntry[]
  readonly comparison: Comparison
  readonly plan: { readonly parts: readonly Part[] }
  /** Unix time before the first thing was looked at. */
  readonly comparedAtMs: number
}

const MODES = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const

/** The record where nothing had to be changed. */
export function recordOfKept(compared: Compared): EncodedRecord {
  const identities = keptIdentities(compared)
  return encode(compared, compared.resultDigest, Date.now(), ({ path }) => identities.get(path))
}

/** The record as it is to be after a crash: by content alone, wherever something is still to be changed. */
export function intendedRecord(compared: Compared): EncodedRecord {
  const identities = keptIdentities(compared)
  const changing = new Set(compared.comparison.chmods.map(({ path }) => path))
  return encode(compared, NO_RESULT, Date.now(), ({ path }) => (changing.has(path) ? undefined : identities.get(path)))
}

/**
 * The record after the change. `takenAtMs` is the time before its first step: until then nobody else could write to what
 * was staged. What a step touched is looked at again.
 */
export function finalRecord(
  root: string,
  compared: Compared,
  done: {
    readonly steps: readonly Step[]
    readonly skipped: readonly string[]
    readonly takenAtMs: number
    readonly identities: ReadonlyMap<string, StatIdentity>
  },
): EncodedRecord {
  const kept = keptIdentities(compared)
  const touched = new Set(done.steps.flatMap(({ path }) => [path, dirname(path)]))
  const result = done.skipped.length === 0 ? compared.resultDigest : NO_RESULT
  const skipped = new Set(done.skipped)
  return encode(compared, result, done.takenAtMs, ({ path }) => {
    if (skipped.has(path)) return undefined
    const known = touched.has(path) ? undefined : (kept.get(path) ?? done.identities.get(path))
    if (known !== undefined) return known
    const stats = lookAt(`${root}/${path}`)
    return stats && statIdentity(stats)
  })
}

export function contentBytes(entries: readonly ResultEntry[]): number {
  return entries.reduce((sum, entry) => (entry.kind === 'file' ? sum + entry.digest.sizeBytes : sum), 0)
}

/** What was changed too shortly before it was looked at could change again unseen. */
function keptIdentities({ comparison, comparedAtMs }: Compared): Map<string, StatIdentity> {
  return new Map(
    comparison.kept.map(({ entry, identity }) => [
      entry.path,
      isRacy(identity, comparedAtMs) ? { ...identity, mtimeMs: Number.NaN } : identity,
    ]),
  )
}

function encode(
  { entries }: Compared,
  result: Digest,
  takenAtMs: number,
  identityOf: (entry: ResultEntry) => StatIdentity | undefined,
): EncodedRecord {
  const rows = entries.map(
    (entry): SnapshotEntry => ({
      path: entry.path,
      identity: identityOf(entry) ?? neverSeen(entry),
      hash: hashOf(entry),
    }),
  )
  rows.sort((a, b) => (a.path < b.path ? -1 : 1))
  return encodeRecord(rows, { result, bytes: contentBytes(entries), takenAtMs })
}

/** Equals nothing on disk, so only the content counts. */
function neverSeen({ kind }: ResultEntry): StatIdentity {
  return { mtimeMs: Number.NaN, ctimeMs: 0, size: 0, ino: 0, mode: MODES[kind] }
}

function hashOf(entry: ResultEntry): string | undefined {
  if (entry.kind === 'file') return entry.digest.hash
  return entry.kind === 'link' ? sha256Hex(entry.target) : undefined
}
