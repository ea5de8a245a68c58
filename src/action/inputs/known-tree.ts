import { constants, lstatSync, readlinkSync } from 'node:fs'
import { sameDigest } from '../../digest/digest.ts'
import { sameIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { TreeSnapshot } from '../../digest/tree-snapshot.ts'
import { type DirectoryTree, directoryTree, type TreeNode } from '../key/directory-tree.ts'
import type { InputTree } from '../key/keyed-action.ts'
import { encodeInputFacts } from './input-facts.ts'
import { hashInput } from './input-hash.ts'
import { Role } from './input-roles.ts'
import { attachDigests, baseOf, type InputPlace, type KnownInputs, saveKnown } from './known-inputs.ts'

/** What is known of the inputs, as the tree that others see. */
export function inputTreeOf(known: KnownInputs, place: InputPlace): InputTree {
  let paths: Set<string> | undefined
  return {
    rootDigest: known.rootDigest,
    count: known.facts.count,
    directories: () => messagesOf(known, place),
    changed: () => firstChanged(known, place),
    has(path) {
      paths ??= new Set(known.snapshot.paths.filter((_, i) => isInput(known, i)))
      return paths.has(path)
    },
    async remember() {
      // A refresh that hashed nothing has not read the digests, and a snapshot written without them would lose them.
      if (known.isWorthKeeping && attachDigests(known, place)) await saveKnown(upToDate(known), place)
    },
  }
}

/** The tree of what is known; the digests have to be attached. */
export function treeOf(known: KnownInputs): DirectoryTree {
  return directoryTree(nodesOf(known, (i) => known.changes.get(i)?.hash ?? known.snapshot.hash(i)))
}

export function isInput(known: KnownInputs, index: number): boolean {
  return ((known.facts.roles[index] as number) & Role.input) !== 0
}

export function isLinkMode(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFLNK
}

function* nodesOf(known: KnownInputs, hashOf: (index: number) => string | undefined): Generator<TreeNode> {
  const { snapshot, facts, changes } = known
  const texts = facts.texts()
  let links = 0
  for (let i = 0; i < snapshot.paths.length; i++) {
    if (!isInput(known, i)) continue
    const path = snapshot.paths[i] as string
    const mode = changes.get(i)?.identity.mode ?? snapshot.mode(i)
    if (isLinkMode(mode)) yield { kind: 'link', path, text: texts[links++] as string }
    else {
      const sizeBytes = changes.get(i)?.identity.size ?? snapshot.sizeBytes(i)
      const hash = hashOf(i)
      if (hash === undefined) throw new Error(`no digest is known of the input ${path}`)
      yield { kind: 'file', path, digest: { hash, sizeBytes }, isExecutable: isExecutableMode(mode) }
    }
  }
}

/** The owner's bit, as git has it. Windows has none. */
function isExecutableMode(mode: number): boolean {
  return process.platform !== 'win32' && (mode & constants.S_IXUSR) !== 0
}

/** From what was written down; where that is lost, from the files, which then must still be what the key says. */
function messagesOf(known: KnownInputs, place: InputPlace): DirectoryTree['messages'] {
  if (attachDigests(known, place)) return treeOf(known).messages
  const base = baseOf(place.root)
  const tree = directoryTree(nodesOf(known, (i) => hashInput(base, known.snapshot.paths[i] as string).hash))
  if (!sameDigest(tree.rootDigest, known.rootDigest)) throw new Error('the inputs changed after their key was made')
  return tree.messages
}

function firstChanged(known: KnownInputs, place: InputPlace): string | undefined {
  const base = baseOf(place.root)
  const { snapshot } = known
  for (let i = snapshot.nextChange(base); i !== -1; i = snapshot.nextChange(base, i + 1))
    if (isInput(known, i) && !isAsKnown(known, i, base, place)) return snapshot.paths[i]
  return undefined
}

/** By stat; where that differs or cannot tell, by content. */
function isAsKnown(known: KnownInputs, index: number, base: string, place: InputPlace): boolean {
  const { snapshot, changes } = known
  const path = snapshot.paths[index] as string
  try {
    const stats = lstatSync(base + path, { throwIfNoEntry: false })
    if (stats === undefined) return false
    const before = changes.get(index)
    const mode = before?.identity.mode ?? snapshot.mode(index)
    if (isLinkMode(mode)) return stats.isSymbolicLink() && readlinkSync(base + path) === linkText(known, index)
    if (!stats.isFile() || isExecutableMode(mode) !== isExecutableMode(stats.mode)) return false
    if (before !== undefined && sameIdentity(before.identity, statIdentity(stats))) return true
    if (before === undefined && !attachDigests(known, place)) return false
    return hashInput(base, path).hash === (before?.hash ?? snapshot.hash(index))
  } catch {
    return false
  }
}

/** What a link among the inputs said when it was taken. */
export function linkText(known: KnownInputs, index: number): string | undefined {
  let links = 0
  for (let i = 0; i < index; i++) if (isInput(known, i) && isLinkMode(known.snapshot.mode(i))) links++
  return known.facts.texts()[links]
}

/** The snapshot with the changes written into it. */
function upToDate(known: KnownInputs): KnownInputs {
  const { snapshot, facts, changes, rootDigest } = known
  if (changes.size === 0) return known
  const entries = snapshot.paths.map((path, i) => {
    const change = changes.get(i)
    return { path, identity: change?.identity ?? snapshot.identity(i), hash: change?.hash ?? snapshot.hash(i) }
  })
  const head = encodeInputFacts({ ...facts, rootDigest })
  // What is racy was made so when it was looked at, and stays so.
  const takenAtMs = Number.POSITIVE_INFINITY
  return { ...known, snapshot: TreeSnapshot.of(entries, { takenAtMs, id: Math.random(), head }) }
}
