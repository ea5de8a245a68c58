import { readlinkSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { digestOfFile } from '../../digest/file-digest.ts'
import { sha256Hex } from '../../digest/sha256.ts'
import type { StatIdentity } from '../../digest/stat-identity.ts'
import { type SnapshotEntry, TreeSnapshot } from '../../digest/tree-snapshot.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'

/** What recue captured or restored in this workspace for one set of outputs: paths, contents, and how they looked. */
export interface OutputsRecord {
  readonly snapshot: TreeSnapshot
  /** The encoded action result that the outputs are. */
  readonly result: Digest
  /** Content of all files. */
  readonly bytes: number
}

/** The two records as bytes: what {@link TreeSnapshot} needs to see that nothing changed, and its digests. */
export interface EncodedRecord {
  readonly stats: Uint8Array
  readonly digests: Uint8Array
}

type Records = Pick<Workspace, 'root' | 'records'>

/** Stands in a record of what is not, or not quite, the outputs of any result. */
export const NO_RESULT: Digest = { hash: '0'.repeat(64), sizeBytes: 0 }

const DIRECTORY = 0o040000
const TYPE = 0o170000
const HEAD_BYTES = 48

/** Where the record of these outputs is kept. No normal path has two slashes in a row, so no two roots share a prefix. */
export function recordName({ root }: Pick<Workspace, 'root'>, outputs: readonly OutputDeclaration[]): string {
  return `${root}//${JSON.stringify(outputs.map(({ kind, path }) => (kind === 'glob' ? [path] : path)))}`
}

/** The record without its digests, which a look that finds nothing changed does not need. */
export function loadRecord(
  { records }: Pick<Workspace, 'records'>,
  name: string,
  kind: 'outputs' | 'leftovers' = 'outputs',
): OutputsRecord | undefined {
  const bytes = records.load(kind, name)
  const snapshot = bytes && TreeSnapshot.decode(bytes)
  if (snapshot === undefined || snapshot.head.length !== HEAD_BYTES) return undefined
  const head = Buffer.from(snapshot.head.buffer, snapshot.head.byteOffset, HEAD_BYTES)
  return {
    snapshot,
    result: { hash: head.toString('hex', 0, 32), sizeBytes: head.readDoubleLE(32) },
    bytes: head.readDoubleLE(40),
  }
}

/** `takenAtMs`: Unix time before which the entries' contents were known to be what their hashes say. */
export function encodeRecord(
  entries: readonly SnapshotEntry[],
  facts: { readonly result: Digest; readonly bytes: number; readonly takenAtMs: number },
): EncodedRecord {
  const head = Buffer.alloc(HEAD_BYTES)
  head.write(facts.result.hash, 0, 'hex')
  head.writeDoubleLE(facts.result.sizeBytes, 32)
  head.writeDoubleLE(facts.bytes, 40)
  const id = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)
  return TreeSnapshot.of(entries, { takenAtMs: facts.takenAtMs, id, head }).encode()
}

/** Digests first: stats without theirs would vouch for nothing, while digests without stats are not even looked at. */
export async function saveRecord(
  { records }: Pick<Workspace, 'records'>,
  name: string,
  record: EncodedRecord,
  kind: 'outputs' | 'leftovers' = 'outputs',
): Promise<void> {
  await Promise.all([records.save(kind, `${name}#digests`, record.digests), records.save(kind, name, record.stats)])
}

/** Root-relative files and links, in the order of the record. */
export function recordedFiles({ snapshot }: OutputsRecord): string[] {
  return snapshot.paths.filter((_, i) => (snapshot.mode(i) & TYPE) !== DIRECTORY)
}

/** Answers whether recue put what is on disk there: the only ground on which anything may be deleted. */
export interface Vouchers {
  /** The digest that a record still holds for a file which looks exactly as it did; undefined where it must be read. */
  hashOf(path: string, now: StatIdentity): string | undefined
  /** The content that is there now was captured or restored at this path. Reads the file where its looks do not tell. */
  vouchesFor(path: string, now: StatIdentity): boolean
  vouchesForDirectory(path: string): boolean
  /** Recorded as a folder, or something in it is. */
  knowsFolder(path: string): boolean
}

/** By the record of that name first; the workspace's other records are read only when it does not know. */
export function openVouchers(workspace: Records, name: string): Vouchers {
  return new RecordVouchers(workspace, name)
}

interface Voucher {
  readonly snapshot: TreeSnapshot
  readonly index: ReadonlyMap<string, number>
}

class RecordVouchers implements Vouchers {
  readonly #workspace: Records
  readonly #name: string
  #own: readonly Voucher[] | undefined
  #all: readonly Voucher[] | undefined

  constructor(workspace: Records, name: string) {
    this.#workspace = workspace
    this.#name = name
  }

  hashOf(path: string, now: StatIdentity): string | undefined {
    this.#own ??= this.#open([this.#name])
    for (const { snapshot, index } of this.#own) {
      const i = index.get(path)
      if (i !== undefined && snapshot.matches(i, now)) return snapshot.hash(i)
    }
    return undefined
  }

  vouchesFor(path: string, now: StatIdentity): boolean {
    let actual: string | undefined
    return this.#everything().some(({ snapshot, index }) => {
      const i = index.get(path)
      const recorded = i === undefined ? undefined : snapshot.hash(i)
      if (i === undefined || recorded === undefined || !isSameType(snapshot.mode(i), now.mode)) return false
      if (snapshot.matches(i, now)) return true
      actual ??= contentHash(`${this.#workspace.root}/${path}`, now)
      return actual === recorded
    })
  }

  vouchesForDirectory(path: string): boolean {
    return this.#everything().some(({ snapshot, index }) => {
      const i = index.get(path)
      return i !== undefined && (snapshot.mode(i) & TYPE) === DIRECTORY
    })
  }

  knowsFolder(path: string): boolean {
    if (this.vouchesForDirectory(path)) return true
    return this.#everything().some(({ snapshot }) => snapshot.paths.some((known) => known.startsWith(`${path}/`)))
  }

  #everything(): readonly Voucher[] {
    const prefix = `${this.#workspace.root}//`
    this.#all ??= this.#open(
      this.#workspace.records.names('outputs', prefix).filter((name) => !name.endsWith('#digests')),
    )
    return this.#all
  }

  #open(names: readonly string[]): Voucher[] {
    return names.flatMap((name) => {
      const snapshot = loadRecord(this.#workspace, name)?.snapshot
      if (!snapshot?.attachDigests(this.#workspace.records.load('outputs', `${name}#digests`))) return []
      return [{ snapshot, index: snapshot.index() }]
    })
  }
}

function isSameType(a: number, b: number): boolean {
  return (a & TYPE) === (b & TYPE)
}

/** SHA-256 of a file's content or a link's text; undefined for what is neither, or cannot be read. */
export function contentHash(absolute: string, { mode }: Pick<StatIdentity, 'mode'>): string | undefined {
  try {
    if ((mode & TYPE) === 0o120000) return sha256Hex(readlinkSync(absolute))
    return (mode & TYPE) === 0o100000 ? digestOfFile(absolute).digest.hash : undefined
  } catch {
    return undefined
  }
}
