import { statIdentity } from '../../digest/stat-identity.ts'
import { type SnapshotEntry, TreeSnapshot } from '../../digest/tree-snapshot.ts'
import { isCacheError } from '../../errors.ts'
import type { InputSelection } from '../request.ts'
import { encodeInputFacts, type InputFacts } from './input-facts.ts'
import { hashInput, turnTaker } from './input-hash.ts'
import { type Listing, listInputs } from './input-listing.ts'
import { unreadable } from './input-listing-errors.ts'
import { Role } from './input-roles.ts'
import { attachDigests, baseOf, type InputPlace, type KnownInputs } from './known-inputs.ts'
import { treeOf } from './known-tree.ts'
import type { ListedPath } from './listed-paths.ts'

/**
 * Lists all that a selection means, and hashes what `before` does not know by its identity. `text` is the selection as it
 * is written down.
 */
export async function scanInputs(
  selection: InputSelection,
  text: string,
  before: KnownInputs | undefined,
  place: InputPlace,
): Promise<{ kind: 'scanned'; known: KnownInputs } | { kind: 'unkeyable'; reason: string }> {
  const takenAtMs = Date.now()
  const outcome = await listInputs(selection, place)
  if (outcome.kind === 'unkeyable') return outcome
  const listed = [...outcome.listing.paths.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  const entries = await hashListed(listed, before, place)
  const facts = factsOf(text, listed, outcome.listing)
  const known = (rootDigest: InputFacts['rootDigest']): KnownInputs => {
    const head = encodeInputFacts({ ...facts, rootDigest })
    const snapshot = TreeSnapshot.of(entries, { takenAtMs, id: Math.random(), head })
    // What is not there is nothing to be known again.
    return { snapshot, facts, changes: new Map(), rootDigest, isWorthKeeping: place.files === undefined }
  }
  const { rootDigest } = treeOf(known(facts.rootDigest))
  return { kind: 'scanned', known: known(rootDigest) }
}

async function hashListed(
  listed: readonly ListedPath[],
  before: KnownInputs | undefined,
  place: InputPlace,
): Promise<SnapshotEntry[]> {
  const known = before !== undefined && attachDigests(before, place) ? before.snapshot : undefined
  const index = known?.index()
  const takeTurn = turnTaker(place.signal)
  const entries: SnapshotEntry[] = []
  for (const { path, stats, role } of listed) {
    const identity = stats && statIdentity(stats)
    if ((role & Role.input) === 0 || stats === undefined || identity === undefined || !stats.isFile()) {
      entries.push({ path, identity, hash: undefined })
      continue
    }
    if (stats.hash !== undefined) {
      entries.push({ path, identity, hash: stats.hash })
      continue
    }
    const at = index?.get(path)
    const hash = at !== undefined && known?.matches(at, identity) ? known.hash(at) : undefined
    entries.push(hash === undefined ? { path, ...hashOrThrow(baseOf(place.root), path) } : { path, identity, hash })
    await takeTurn()
  }
  return entries
}

function hashOrThrow(base: string, path: string): Omit<SnapshotEntry, 'path'> {
  try {
    return hashInput(base, path)
  } catch (error) {
    throw isCacheError(error) ? error : unreadable(path, error)
  }
}

/** All but the root digest, which is not known yet. */
function factsOf(selection: string, listed: readonly ListedPath[], listing: Listing): InputFacts {
  const texts = listed.flatMap(({ text }) => (text === undefined ? [] : [text]))
  const unselected = [...listing.unselected]
  return {
    selection,
    rootDigest: { hash: '0'.repeat(64), sizeBytes: 0 },
    count: listed.filter(({ role }) => (role & Role.input) !== 0).length,
    roles: Uint8Array.from(listed, ({ role }) => role),
    texts: () => texts,
    unselected: () => unselected,
    repositories: () => listing.repositories,
  }
}
