import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { Directory } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Message } from './keyed-action.ts'
import { compareUtf8 } from './utf8-order.ts'

/** A file or symlink of a tree, by its path in it: names joined by `/`. */
export type TreeNode =
  | { readonly kind: 'file'; readonly path: string; readonly digest: Digest; readonly isExecutable: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly text: string }

export interface DirectoryTree {
  readonly rootDigest: Digest
  /** The Directory messages, each once; the root's is the last. */
  readonly messages: readonly Message[]
}

/**
 * REAPI's Merkle tree of some files, canonical: nodes sorted by name, no empty folders, nothing of times and owners. The
 * order in which the nodes come does not matter. No path may be given twice, or lie in another.
 */
export function directoryTree(nodes: Iterable<TreeNode>): DirectoryTree {
  const root = emptyFolder()
  const folders = new Map<string, Folder>([['', root]])
  for (const node of nodes) {
    const slash = node.path.lastIndexOf('/')
    const folder = folderAt(folders, slash === -1 ? '' : node.path.slice(0, slash))
    const name = node.path.slice(slash + 1)
    if (node.kind === 'link') folder.links.push({ name, target: node.text, nodeProperties: undefined })
    else folder.files.push({ name, digest: node.digest, isExecutable: node.isExecutable, nodeProperties: undefined })
  }
  const messages = new Map<string, Message>()
  const rootDigest = encodeFolder(root, messages)
  return { rootDigest, messages: [...messages.values()] }
}

interface Folder {
  readonly files: Directory['files']
  readonly links: Directory['symlinks']
  readonly folders: Map<string, Folder>
}

function emptyFolder(): Folder {
  return { files: [], links: [], folders: new Map() }
}

function folderAt(folders: Map<string, Folder>, path: string): Folder {
  const known = folders.get(path)
  if (known !== undefined) return known
  const slash = path.lastIndexOf('/')
  const folder = emptyFolder()
  folderAt(folders, slash === -1 ? '' : path.slice(0, slash)).folders.set(path.slice(slash + 1), folder)
  folders.set(path, folder)
  return folder
}

function encodeFolder(folder: Folder, messages: Map<string, Message>): Digest {
  const directories = [...folder.folders].map(([name, child]) => ({ name, digest: encodeFolder(child, messages) }))
  const bytes = Directory.encode({
    files: folder.files.sort(byName),
    directories: directories.sort(byName),
    symlinks: folder.links.sort(byName),
    nodeProperties: undefined,
  }).finish()
  const digest = digestOf(bytes)
  if (!messages.has(digest.hash)) messages.set(digest.hash, { digest, bytes })
  return digest
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compareUtf8(a.name, b.name)
}
