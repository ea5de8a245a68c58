import { crc32c } from '../../digest/crc32c.ts'
import type { Digest } from '../../digest/digest.ts'
import type { StatIdentity } from '../../digest/stat-identity.ts'
import { TreeSnapshot } from '../../digest/tree-snapshot.ts'
import type { WorkspaceRecords } from '../../store/contracts.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { InputSelection } from '../request.ts'
import type { Witness } from '../witness.ts'
import type { FileView } from './file-view.ts'
import { decodeInputFacts, type InputFacts } from './input-facts.ts'

/** A snapshot of inputs with what it stands for, and what was found to differ from it since. */
export interface KnownInputs {
  readonly snapshot: TreeSnapshot
  readonly facts: InputFacts
  /** By index in the snapshot: paths with another identity, and the hash of those that were hashed again. */
  readonly changes: ReadonlyMap<number, Change>
  /** With the changes. */
  readonly rootDigest: Digest
  /** Writing it down saves the next run more than it costs this one. */
  readonly isWorthKeeping: boolean
}

export interface Change {
  readonly identity: StatIdentity
  readonly hash: string | undefined
}

export interface InputPlace {
  /** Absolute real path. */
  readonly root: string
  readonly workingDirectory: string
  readonly outputs: readonly OutputDeclaration[]
  readonly records: WorkspaceRecords | undefined
  readonly cacheDir: string
  readonly signal: AbortSignal | undefined
  /** What is there, unless said. */
  readonly files?: FileView | undefined
  readonly witness?: Witness | undefined
}

/** What decides which inputs a snapshot holds, apart from the files themselves. */
export function selectionText(selection: InputSelection, place: InputPlace): string {
  const { patterns, gitignore, allowEmpty, allowLinks, implicit } = selection
  const outputs = place.outputs.map(({ kind, path }) => `${kind}:${path}`)
  return JSON.stringify([place.workingDirectory, patterns, gitignore, allowEmpty, allowLinks, implicit, outputs])
}

/** One record for each checkout and selection; the checksum keeps the name short, and the text itself is in the record. */
export function recordName(root: string, selection: string): string {
  return `${root}\0${crc32c(Buffer.from(selection)).toString(16)}`
}

export function loadKnown(place: InputPlace, selection: string): KnownInputs | undefined {
  const record = place.records?.load('inputs', recordName(place.root, selection))
  const snapshot = record && TreeSnapshot.decode(record)
  const facts = snapshot && decodeInputFacts(snapshot.head)
  if (facts?.selection !== selection || facts.roles.length !== snapshot?.paths.length) return undefined
  return { snapshot, facts, changes: new Map(), rootDigest: facts.rootDigest, isWorthKeeping: false }
}

/** Reads the digests too, which a look-up that finds nothing changed does without. False: they are lost. */
export function attachDigests(known: KnownInputs, place: InputPlace): boolean {
  const name = digestsName(recordName(place.root, known.facts.selection))
  return known.snapshot.hasDigests || known.snapshot.attachDigests(place.records?.load('inputs', name))
}

/** The digests first: a snapshot without its digests is slow, one with another's would be refused by its id. */
export async function saveKnown(known: KnownInputs, place: InputPlace): Promise<void> {
  const { records, root } = place
  const name = recordName(root, known.facts.selection)
  const { stats, digests } = known.snapshot.encode()
  await records?.save('inputs', digestsName(name), digests)
  await records?.save('inputs', name, stats)
}

function digestsName(name: string): string {
  return `${name}#digests`
}

/** What to put before a root-relative path: nothing in the current folder, since the kernel resolves short paths faster. */
export function baseOf(root: string): string {
  if (process.cwd() === root) return ''
  return root.endsWith('/') ? root : `${root}/`
}
