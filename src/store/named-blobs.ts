import type { Digest } from '../digest/digest.ts'
import type { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { RunDetail } from '../proto/recue/v1/recue.ts'
import type { BlobStore, Scope } from './contracts.ts'
import { readWhole } from './read-whole.ts'
import { directoryDigests, treeFileDigests } from './tree-digests.ts'

/** Reads a small blob whole; undefined when it is not there. */
export type ReadBlob = (digest: Digest) => Promise<Uint8Array | undefined>

/** What an action result names, trees, directories and what they name included. */
export interface NamedBlobs {
  readonly digests: readonly Digest[]
  /** Content bytes of all of them. */
  readonly contentBytes: number
}

/** Of all trees and directories of a result: about 600,000 files. They are read whole, and a client may name anything as one. */
export const MOST_TREE_BYTES: number = 64 << 20

/**
 * All blobs that must be there for the result to be complete; undefined when a tree or directory that has to be read for
 * that is not there, is none, or is too large. Empty blobs are left out: every store has them.
 */
export async function namedBlobs(result: ActionResult, readBlob: ReadBlob): Promise<NamedBlobs | undefined> {
  const read = bounded(readBlob)
  const found = directDigests(result)
  for (const { treeDigest, rootDirectoryDigest } of result.outputDirectories) {
    if (treeDigest !== undefined) {
      const bytes = await read(treeDigest)
      const files = bytes && treeFileDigests(bytes)
      if (files === undefined) return undefined
      for (const digest of files) found.push(digest)
    }
    // A tree holds the same directories in one blob: walking those too took a tenth of the time of a large save.
    else if (rootDirectoryDigest !== undefined && !(await addBelow(rootDirectoryDigest, read, found))) return undefined
  }
  const digests = new Map<string, Digest>()
  let contentBytes = 0
  for (const digest of found) {
    contentBytes += digest.sizeBytes
    if (digest.sizeBytes > 0) digests.set(digest.hash, digest)
  }
  return { digests: [...digests.values()], contentBytes }
}

/** Whether all that the result names is in `blobs`. */
export async function isWhole(
  blobs: Pick<BlobStore, 'read' | 'missing'>,
  scope: Scope,
  result: ActionResult,
  signal?: AbortSignal,
): Promise<boolean> {
  const named = await namedBlobs(result, (digest) => readWhole(blobs, scope, digest, signal))
  return named !== undefined && (await blobs.missing(scope, named.digests, signal)).length === 0
}

function bounded(read: ReadBlob): ReadBlob {
  let leftBytes = MOST_TREE_BYTES
  return async (digest) => {
    leftBytes -= digest.sizeBytes
    return leftBytes < 0 ? undefined : read(digest)
  }
}

/** What a directory and those below it name, each read once. False when one is not there, or is none. */
async function addBelow(root: Digest, read: ReadBlob, found: Digest[]): Promise<boolean> {
  const seen = new Set<string>()
  const waiting = [root]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next.hash)) continue
    seen.add(next.hash)
    const bytes = await read(next)
    const named = bytes && directoryDigests(bytes)
    if (named === undefined) return false
    for (const digest of named.files) found.push(digest)
    for (const digest of named.directories) {
      found.push(digest)
      waiting.push(digest)
    }
  }
  return true
}

/** Content bytes of what the result names itself, without what its trees name: for those who cannot read them. */
export function namedSizeBytes(result: ActionResult): number {
  return directDigests(result).reduce((sum, digest) => sum + digest.sizeBytes, 0)
}

/** How long the command took, from recue's own detail or REAPI's timestamps; 0 where nothing says. */
export function durationOf(result: ActionResult): number {
  const metadata = result.executionMetadata
  const detail = metadata?.auxiliaryMetadata.find((any) => any.typeUrl.endsWith('/recue.v1.RunDetail'))
  if (detail !== undefined) return RunDetail.decode(detail.value).durationMs
  const { executionStartTimestamp: start, executionCompletedTimestamp: end } = metadata ?? {}
  if (start === undefined || end === undefined) return 0
  return (end.seconds - start.seconds) * 1000 + (end.nanos - start.nanos) / 1e6
}

/** What the result names itself. */
export function directDigests(result: ActionResult): Digest[] {
  const found: Digest[] = []
  // A file whose contents are in the result needs no blob.
  for (const file of result.outputFiles)
    if (file.digest !== undefined && file.contents.length === 0) found.push(file.digest)
  for (const directory of result.outputDirectories) {
    if (directory.treeDigest !== undefined) found.push(directory.treeDigest)
    if (directory.rootDirectoryDigest !== undefined) found.push(directory.rootDirectoryDigest)
  }
  if (result.stdoutDigest !== undefined && result.stdoutRaw.length === 0) found.push(result.stdoutDigest)
  if (result.stderrDigest !== undefined && result.stderrRaw.length === 0) found.push(result.stderrDigest)
  return found
}
