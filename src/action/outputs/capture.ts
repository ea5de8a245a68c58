import { lstatSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { sha256Hex } from '../../digest/sha256.ts'
import { sameIdentity } from '../../digest/stat-identity.ts'
import type { SnapshotEntry } from '../../digest/tree-snapshot.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { type CapturedFile, changed, FileCapture } from './capture-files.ts'
import { type Found, listOutput, Unkeepable } from './capture-listing.ts'
import { type CapturedTree, outputDirectory, treeOf } from './capture-tree.ts'
import { expandGlobs } from './output-globs.ts'
import { objectionTo } from './output-places.ts'
import { hasUnfinishedRestore } from './restore-record.ts'
import { resultPath } from './result-tree.ts'
import { encodeRecord, openVouchers, recordName, saveRecord } from './workspace-record.ts'

type Outputs = Pick<ActionResult, 'outputFiles' | 'outputDirectories' | 'outputSymlinks'>

export type CaptureOutcome =
  | {
      readonly kind: 'captured'
      /** All that they name is in the store. */
      readonly outputs: Outputs
      /** Root-relative files and links, sorted. */
      readonly files: readonly string[]
      /** Content of all files. */
      readonly bytes: number
      /** Records for the next run that these outputs are that result; call it once the result is kept. */
      remember(resultDigest: Digest): Promise<void>
    }
  /** Declared literal outputs that are not there. */
  | { readonly kind: 'missing'; readonly paths: readonly string[] }
  | { readonly kind: 'unkeepable'; readonly reason: string }

/**
 * Puts what a command made into the store. Not kept: what cannot be restored (pipes, sockets, names that are not UTF-8),
 * and what changes meanwhile. Small files are held in memory in bounded batches, large ones pass as streams.
 */
export async function capture(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  signal?: AbortSignal,
): Promise<CaptureOutcome> {
  if (hasUnfinishedRestore(workspace, outputs)) {
    return { kind: 'unkeepable', reason: 'an interrupted restore of this workspace is not finished' }
  }
  try {
    return await captureAll(workspace, outputs, signal)
  } catch (error) {
    if (error instanceof Unkeepable) return { kind: 'unkeepable', reason: error.message }
    throw error
  }
}

async function captureAll(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  signal?: AbortSignal,
): Promise<CaptureOutcome> {
  const takenAtMs = Date.now()
  const name = recordName(workspace, outputs)
  const { found, missing } = await listAll(workspace, outputs)
  if (missing.length > 0) return { kind: 'missing', paths: missing }
  const entries = found.flat()
  const paths = entries.filter(({ kind }) => kind === 'file').map(({ path }) => path)
  await using reading = new FileCapture(workspace, signal)
  const files = await reading.readAll(paths, openVouchers(workspace, name))
  const { message, trees } = outputsOf(workspace, found, files)
  // Meanwhile the last of them are written.
  const written = Promise.all([reading.finish(), writeMessages(workspace, trees, signal)])
  try {
    checkUnchanged(workspace, entries, files)
  } finally {
    await written
  }
  const bytes = files.values().reduce((sum, { digest }) => sum + digest.sizeBytes, 0)
  return {
    kind: 'captured',
    outputs: message,
    files: entries
      .filter(({ kind }) => kind !== 'directory')
      .map((entry) => entry.path)
      .sort(),
    bytes,
    remember: (result) =>
      saveRecord(workspace, name, encodeRecord(snapshotEntries(entries, files), { result, bytes, takenAtMs })),
  }
}

async function listAll(workspace: Workspace, outputs: readonly OutputDeclaration[]) {
  const found: Found[][] = []
  const missing: string[] = []
  const seen = new Set<string>()
  for (const { kind, path } of outputs) {
    if (kind === 'glob') continue
    checkPlace(workspace, path)
    const list = listOutput(workspace.root, path)
    if (list === undefined) missing.push(path)
    else found.push(list)
    for (const entry of list ?? []) seen.add(entry.path)
  }
  const globs = outputs.filter(({ kind }) => kind === 'glob').map(({ path }) => path)
  for (const path of globs.length === 0 ? [] : await expandGlobs(workspace, globs)) {
    const list = seen.has(path) ? undefined : listOutput(workspace.root, path)
    if (list !== undefined) found.push(list)
  }
  return { found, missing }
}

/** The command may have turned a folder on the way into a link, so what was declared is looked at again. */
function checkPlace(workspace: Workspace, path: string): void {
  const { root, workingDirectory = '', home, cacheDir } = workspace
  const objection = objectionTo(`${root}/${path}`, { root, workingDirectory, home, cacheDir })
  if (objection !== undefined) throw new Unkeepable(`the output "${path}" now ${objection}`)
}

function outputsOf(
  { workingDirectory = '' }: Workspace,
  found: readonly (readonly Found[])[],
  files: ReadonlyMap<string, CapturedFile>,
): { message: Outputs; trees: readonly CapturedTree[] } {
  const message: Outputs = { outputFiles: [], outputDirectories: [], outputSymlinks: [] }
  const trees: CapturedTree[] = []
  for (const list of found) {
    const top = list[0] as Found
    const path = resultPath(top.path, workingDirectory)
    if (top.kind === 'directory') {
      const tree = treeOf(list, files)
      trees.push(tree)
      message.outputDirectories.push(outputDirectory(path, tree))
    } else if (top.kind === 'link') {
      message.outputSymlinks.push({ path, target: top.target })
    } else {
      const { digest, isExecutable } = files.get(top.path) as CapturedFile
      message.outputFiles.push({ path, digest, isExecutable, contents: Buffer.alloc(0) })
    }
  }
  return { message, trees }
}

async function writeMessages(workspace: Workspace, trees: readonly CapturedTree[], signal?: AbortSignal) {
  const { blobs, scope } = workspace
  const messages = new Map(trees.flatMap((tree) => tree.messages).map((message) => [message.digest.hash, message]))
  const digests = [...messages.values()].map(({ digest }) => digest)
  const absent = digests.length === 0 ? [] : await blobs.missing(scope, digests, signal)
  await Promise.all(
    absent
      .map(({ hash }) => messages.get(hash))
      .map((message) => message && blobs.write(scope, message.digest, message.bytes, signal)),
  )
}

const QUIET = { throwIfNoEntry: false } as const

/** Something may still have been writing behind the command's back: a tree that is not of one moment is not kept. */
function checkUnchanged(
  { root }: Workspace,
  entries: readonly Found[],
  files: ReadonlyMap<string, CapturedFile>,
): void {
  for (const entry of entries) {
    const before = entry.kind === 'file' ? files.get(entry.path)?.identity : entry.identity
    const now = lstatSync(`${root}/${entry.path}`, QUIET)
    if (before === undefined || now === undefined || !sameIdentity(before, now)) throw changed(entry.path)
  }
}

function snapshotEntries(entries: readonly Found[], files: ReadonlyMap<string, CapturedFile>): SnapshotEntry[] {
  return entries
    .map((entry): SnapshotEntry => {
      if (entry.kind === 'directory') return { path: entry.path, identity: entry.identity, hash: undefined }
      if (entry.kind === 'link') return { path: entry.path, identity: entry.identity, hash: sha256Hex(entry.target) }
      const { identity, digest } = files.get(entry.path) as CapturedFile
      return { path: entry.path, identity, hash: digest.hash }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}
