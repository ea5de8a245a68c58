import { BinaryReader } from '@bufbuild/protobuf/wire'
import type { Digest } from '../../digest/digest.ts'
import { digestOfMessage } from '../../digest/message-digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { type ActionResult, Directory } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Workspace } from '../workspace.ts'

/** One thing that a result puts into the workspace; `path` is relative to the root. */
export type ResultEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly digest: Digest; readonly isExecutable: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

export type FlatResult =
  /** Every folder stands right before all that is in it; nothing stands twice. */
  | { readonly kind: 'flat'; readonly entries: readonly ResultEntry[] }
  | { readonly kind: 'missing'; readonly digest: Digest }
  /** It does not describe a tree of files, or one that may not be written. */
  | { readonly kind: 'invalid'; readonly reason: string }

/** No real build makes more; a hostile tree of shared folders could name billions in a few kilobytes. */
const MAX_ENTRIES = 5_000_000
/** From here on one load of node:crypto costs less than a digest at a time. */
const FEW = 64

/** What a result puts where, with its trees read from the store. Nothing in it is trusted: names are checked. */
export async function flatResult(
  { blobs, scope, workingDirectory }: Pick<Workspace, 'blobs' | 'scope' | 'workingDirectory'>,
  result: ActionResult,
  signal?: AbortSignal,
): Promise<FlatResult> {
  const digests = result.outputDirectories.map((directory) => directory.treeDigest as Digest)
  if (digests.includes(undefined as never)) return { kind: 'invalid', reason: 'an output directory has no tree' }
  const trees: Uint8Array[] = []
  for await (const { index, bytes } of blobs.readBatch(scope, digests, signal)) {
    if (bytes === undefined) return { kind: 'missing', digest: digests[index] as Digest }
    trees[index] = new Uint8Array(bytes)
  }
  try {
    return { kind: 'flat', entries: await entriesOf(result, trees, workingDirectory ?? '') }
  } catch (error) {
    if (error instanceof InvalidResult) return { kind: 'invalid', reason: error.message }
    throw error
  }
}

/** The path of an output as a result spells it: relative to the working directory, as REAPI says. */
export function resultPath(path: string, workingDirectory: string): string {
  if (workingDirectory === '') return path
  if (path.startsWith(`${workingDirectory}/`)) return path.slice(workingDirectory.length + 1)
  const from = workingDirectory.split('/')
  const to = path.split('/')
  let shared = 0
  while (shared < from.length && shared < to.length - 1 && from[shared] === to[shared]) shared++
  return [...from.slice(shared).map(() => '..'), ...to.slice(shared)].join('/')
}

/** The way back: relative to the root, or undefined for a path that leaves it or is no plain path. */
export function outputPath(spelled: string, workingDirectory: string): string | undefined {
  const names = workingDirectory === '' ? [] : workingDirectory.split('/')
  for (const name of spelled.split('/')) {
    if (name === '..') {
      if (names.pop() === undefined) return undefined
    } else if (isPlainName(name)) names.push(name)
    else return undefined
  }
  return names.length === 0 ? undefined : names.join('/')
}

/** A result or a tree that is no such thing; stays in this file. */
class InvalidResult extends Error {}

async function entriesOf(
  result: ActionResult,
  trees: readonly Uint8Array[],
  workingDirectory: string,
): Promise<ResultEntry[]> {
  const at = (spelled: string) => {
    const path = outputPath(spelled, workingDirectory)
    if (path === undefined) throw new InvalidResult(`it names the output "${spelled}"`)
    return path
  }
  const entries: ResultEntry[] = []
  for (const [i, directory] of result.outputDirectories.entries()) {
    const tree = await readTree(trees[i] as Uint8Array)
    addDirectory(entries, at(directory.path), tree.root, tree.children)
  }
  for (const file of result.outputFiles) addFile(entries, at(file.path), file.digest, file.isExecutable)
  for (const list of [result.outputSymlinks, result.outputFileSymlinks, result.outputDirectorySymlinks]) {
    for (const link of list) entries.push({ kind: 'link', path: at(link.path), target: targetOf(link) })
  }
  checkPlaces(entries)
  return entries
}

/** Folders first, then what is in them, all of one before the next. Deep trees are walked without recursion. */
function addDirectory(
  entries: ResultEntry[],
  path: string,
  root: Directory,
  children: ReadonlyMap<string, Directory>,
): void {
  const pending: { path: string; directory: Directory }[] = [{ path, directory: root }]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    entries.push({ kind: 'directory', path: next.path })
    const prefix = `${next.path}/`
    for (const { name, digest, isExecutable } of next.directory.files) {
      addFile(entries, prefix + checked(name), digest, isExecutable)
    }
    for (const link of next.directory.symlinks) {
      entries.push({ kind: 'link', path: prefix + checked(link.name), target: targetOf(link) })
    }
    if (entries.length > MAX_ENTRIES) throw new InvalidResult('its tree has too many entries')
    for (const { name, digest } of next.directory.directories.toReversed()) {
      const directory = digest && children.get(digest.hash)
      if (directory === undefined) throw new InvalidResult(`its tree lacks the folder "${prefix}${name}"`)
      pending.push({ path: prefix + checked(name), directory })
    }
  }
}

function addFile(entries: ResultEntry[], path: string, digest: Digest | undefined, isExecutable: boolean): void {
  if (digest === undefined) throw new InvalidResult(`the file "${path}" has no digest`)
  entries.push({ kind: 'file', path, digest, isExecutable })
}

function targetOf({ target }: { target: string }): string {
  if (target === '' || target.includes('\0')) throw new InvalidResult('it has a symlink to nowhere')
  return target
}

/** No two things in one place, and nothing in a place that goes through a file or a link of the same result. */
function checkPlaces(entries: readonly ResultEntry[]): void {
  const leaves = new Set<string>()
  const folders = new Set<string>()
  for (const { kind, path } of entries) {
    if (leaves.has(path) || folders.has(path)) throw new InvalidResult(`it names "${path}" twice`)
    if (kind === 'directory') folders.add(path)
    else leaves.add(path)
  }
  const sound = new Set<string>()
  for (const { path } of entries) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end)
      if (sound.has(parent)) break
      if (leaves.has(parent)) throw new InvalidResult(`"${path}" would lie in "${parent}", which is no folder`)
      sound.add(parent)
    }
  }
}

/** Children by digest: the digest of the bytes as they stand in the tree, whatever encoder wrote them. */
async function readTree(bytes: Uint8Array): Promise<{ root: Directory; children: Map<string, Directory> }> {
  const { root, children } = splitTree(bytes)
  const byHash = new Map<string, Directory>()
  for (const child of children) {
    const digest = children.length < FEW ? digestOfMessage(child) : digestOf(child)
    byHash.set(digest.hash, decoded(child))
  }
  return { root: decoded(root), children: byHash }
}

function splitTree(bytes: Uint8Array): { root: Uint8Array; children: Uint8Array[] } {
  let root = new Uint8Array(0)
  const children: Uint8Array[] = []
  try {
    const reader = new BinaryReader(bytes)
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (tag === 10) root = reader.bytes() as Uint8Array<ArrayBuffer>
      else if (tag === 18) children.push(reader.bytes())
      else reader.skip(tag & 7)
    }
  } catch {
    throw new InvalidResult('its tree is no Tree message')
  }
  return { root, children }
}

function decoded(bytes: Uint8Array): Directory {
  try {
    return Directory.decode(bytes)
  } catch {
    throw new InvalidResult('its tree has a folder that is no Directory message')
  }
}

function checked(name: string): string {
  if (!isPlainName(name)) throw new InvalidResult(`it names "${name}"`)
  return name
}

function isPlainName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return false
  return process.platform !== 'win32' || !/[\\:]/.test(name)
}
