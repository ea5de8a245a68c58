import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { statIdentity } from '../../digest/stat-identity.ts'
import { isCacheError } from '../../errors.ts'
import { markOf, trackedFiles } from './git-index.ts'
import { hashInput, turnTaker, unlessRacy } from './input-hash.ts'
import { isGitName } from './input-link.ts'
import { unreadable } from './input-listing-errors.ts'
import { Role } from './input-roles.ts'
import { attachDigests, baseOf, type Change, type InputPlace, type KnownInputs } from './known-inputs.ts'
import { isLinkMode, linkText, treeOf } from './known-tree.ts'

/**
 * Brings a snapshot up to date when the same paths are still the inputs: files with other content, folders in which names
 * came and went that are no inputs, an index that git wrote anew. Undefined when all has to be listed again. `first` is
 * the first path that changed.
 */
export async function refreshInputs(
  known: KnownInputs,
  first: number,
  place: InputPlace,
): Promise<KnownInputs | undefined> {
  const survey = surveyChanges(known, first, baseOf(place.root))
  if (survey === undefined) return undefined
  if (survey.indexChanged && !(await tracksTheSame(known, place))) return undefined
  if (survey.files.length > 0 && !attachDigests(known, place)) return undefined
  const changes = new Map(survey.changes)
  const isSame = await hashChanged(known, survey.files, changes, place)
  const cost = survey.cost + survey.files.length * HASH_COST + (areAllRacy(changes) ? 0 : LOADING_COST)
  const isWorthKeeping = cost > KEEP_COST
  const updated = { ...known, changes, isWorthKeeping }
  return isSame ? updated : { ...updated, rootDigest: treeOf(updated).rootDigest, isWorthKeeping: true }
}

/** Then the next run comes here all the same. */
function areAllRacy(changes: ReadonlyMap<number, Change>): boolean {
  for (const { identity } of changes.values()) if (!Number.isNaN(identity.mtimeMs)) return false
  return true
}

/** In microseconds, roughly: what a run pays that finds the same changes again. To come here alone is a tenth of a hit. */
const LOADING_COST = 1_500
const HASH_COST = 10
const NAME_COST = 0.5
const INDEX_COST = 500
/** Writing a snapshot down takes some hundred microseconds. */
const KEEP_COST = 200

interface Survey {
  /** Files to be hashed. */
  readonly files: readonly number[]
  /** Folders and links that are the same but for their identity. */
  readonly changes: ReadonlyMap<number, Change>
  readonly indexChanged: boolean
  readonly cost: number
}

function surveyChanges(known: KnownInputs, first: number, base: string): Survey | undefined {
  const { snapshot, facts } = known
  const files: number[] = []
  const changes = new Map<number, Change>()
  let indexChanged = false
  let cost = 0
  let names: KnownNames | undefined
  for (let i = first; i !== -1; i = snapshot.nextChange(base, i + 1)) {
    const role = facts.roles[i] as number
    if ((role & Role.decides) !== 0) return undefined
    const path = snapshot.paths[i] as string
    const takenAtMs = Date.now()
    const stats = lstatOf(base + path)
    if (stats === undefined || !sameType(stats.mode, snapshot.mode(i))) return undefined
    if ((role & Role.index) !== 0) {
      indexChanged = true
      cost += INDEX_COST
    }
    if ((role & Role.listed) !== 0) {
      names ??= knownNames(known)
      const listed = read(base + path)
      if (listed === undefined || !listed.every((entry) => isKnownName(names as KnownNames, path, entry)))
        return undefined
      cost += listed.length * NAME_COST
    } else if ((role & Role.input) !== 0 && !isLinkMode(stats.mode)) {
      files.push(i)
      continue
    } else if ((role & Role.input) !== 0 && readlinkSync(base + path) !== linkText(known, i)) return undefined
    changes.set(i, { identity: unlessRacy(statIdentity(stats), takenAtMs), hash: undefined })
  }
  return { files, changes, indexChanged, cost }
}

function lstatOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function read(path: string): Dirent[] | undefined {
  try {
    return readdirSync(path, { withFileTypes: true })
  } catch {
    return undefined
  }
}

const TYPE_BITS = 0o170000

function sameType(a: number, b: number): boolean {
  return (a & TYPE_BITS) === (b & TYPE_BITS)
}

interface KnownNames {
  readonly paths: ReadonlyMap<string, number>
  readonly unselected: ReadonlySet<string>
  readonly roles: Uint8Array
}

function knownNames({ snapshot, facts }: KnownInputs): KnownNames {
  return { paths: snapshot.index(), unselected: new Set(facts.unselected()), roles: facts.roles }
}

/** A name that is gone shows as a change of its own path; so only new ones are looked for. */
function isKnownName({ paths, unselected, roles }: KnownNames, folder: string, entry: Dirent): boolean {
  const path = folder === '.' ? entry.name : `${folder}/${entry.name}`
  if (entry.isDirectory() && !isGitName(entry.name)) {
    if (unselected.has(`${path}/`)) return true
    return ((roles[paths.get(path) ?? -1] ?? 0) & Role.listed) !== 0
  }
  if (unselected.has(entry.isDirectory() ? `${path}/` : path)) return true
  return ((roles[paths.get(path) ?? -1] ?? 0) & Role.input) !== 0
}

/** git writes its index on many occasions; mostly it lists the same files as before. */
async function tracksTheSame(known: KnownInputs, place: InputPlace): Promise<boolean> {
  for (const { top, mark } of known.facts.repositories()) {
    const tracked = await trackedFiles(join(place.root, top, '.git'), place.signal)
    if (tracked === undefined || markOf(tracked) !== mark) return false
  }
  return true
}

/** Adds the files to `changes`; true when none has another content or executable bit. */
async function hashChanged(
  known: KnownInputs,
  files: readonly number[],
  changes: Map<number, Change>,
  place: InputPlace,
): Promise<boolean> {
  const { snapshot } = known
  const takeTurn = turnTaker(place.signal)
  let isSame = true
  for (const i of files) {
    const path = snapshot.paths[i] as string
    const hashed = hashOrThrow(baseOf(place.root), path)
    changes.set(i, hashed)
    if (hashed.hash !== snapshot.hash(i) || (hashed.identity.mode & 0o100) !== (snapshot.mode(i) & 0o100))
      isSame = false
    await takeTurn()
  }
  return isSame
}

function hashOrThrow(base: string, path: string): Change {
  try {
    return hashInput(base, path)
  } catch (error) {
    throw isCacheError(error) ? error : unreadable(path, error)
  }
}
