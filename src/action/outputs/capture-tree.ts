import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import type { Directory, OutputDirectory } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { encodeDirectory } from '../directory-message.ts'
import type { Message } from '../key/keyed-action.ts'
import type { CapturedFile } from './capture-files.ts'
import type { Found } from './capture-listing.ts'

/** An output directory, and the messages that it names: its Tree, and each Directory on its own. */
export interface CapturedTree {
  readonly treeDigest: Digest
  readonly rootDirectoryDigest: Digest
  readonly messages: readonly Message[]
}

/** `found` begins with the folder itself; everything in a folder stands behind it, names in order. */
export function treeOf(found: readonly Found[], files: ReadonlyMap<string, CapturedFile>): CapturedTree {
  const folders = new Map<string, Directory>()
  for (const entry of found) {
    if (entry.kind === 'directory') folders.set(entry.path, emptyDirectory())
    else addLeaf(folders, entry, files)
  }
  const children = new Map<string, Message>()
  let root: Message | undefined
  // Backwards, every folder is complete before the one it lies in, and its subfolders come last name first.
  for (const [path, directory] of [...folders].reverse()) {
    directory.directories.reverse()
    root = encoded(directory)
    const parent = folders.get(parentOf(path))
    if (parent === undefined) break
    parent.directories.push({ name: nameOf(path), digest: root.digest })
    children.set(root.digest.hash, root)
  }
  if (root === undefined) throw new Error('a tree without a root')
  const tree = encodedTree(root, [...children.values()].reverse())
  return { treeDigest: tree.digest, rootDirectoryDigest: root.digest, messages: [tree, root, ...children.values()] }
}

export function outputDirectory(path: string, tree: CapturedTree): OutputDirectory {
  const { treeDigest, rootDirectoryDigest } = tree
  return { path, treeDigest, rootDirectoryDigest, isTopologicallySorted: true }
}

function addLeaf(folders: ReadonlyMap<string, Directory>, entry: Found, files: ReadonlyMap<string, CapturedFile>) {
  const folder = folders.get(parentOf(entry.path))
  if (folder === undefined) throw new Error(`${entry.path} stands before its folder`)
  const name = nameOf(entry.path)
  if (entry.kind === 'link') folder.symlinks.push({ name, target: entry.target })
  if (entry.kind !== 'file') return
  const file = files.get(entry.path)
  if (file === undefined) throw new Error(`${entry.path} was not captured`)
  folder.files.push({ name, digest: file.digest, isExecutable: file.isExecutable })
}

function encoded(directory: Directory): Message {
  const bytes = encodeDirectory(directory)
  return { bytes, digest: digestOf(bytes) }
}

/**
 * The Tree message from Directory messages as they are encoded already: field 1 the root, field 2 each child. Children
 * were finished before their parents, and each counts only once, at its first; so backwards they stand parents first.
 */
function encodedTree(root: Message, parentsFirst: readonly Message[]): Message {
  const parts: Uint8Array[] = [Uint8Array.of(10), varint(root.bytes.length), root.bytes]
  for (const { bytes } of parentsFirst) parts.push(Uint8Array.of(18), varint(bytes.length), bytes)
  const bytes = Buffer.concat(parts)
  return { bytes, digest: digestOf(bytes) }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  bytes.push(rest)
  return new Uint8Array(bytes)
}

function emptyDirectory(): Directory {
  return { files: [], directories: [], symlinks: [] }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
