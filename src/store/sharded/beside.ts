import type { Digest } from '../../digest/digest.ts'
import type { ActionResult, OutputFile } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { Homes } from './homes.ts'
import type { WrittenBlobs } from './written-blobs.ts'

/** Larger ones cost more to be kept twice than to be asked for elsewhere. */
export const BESIDE_BLOB_BYTES: number = 64 << 10
/** Of all, so that an answer has room for them. */
const MOST_BYTES = 1 << 20

/** The small blobs of a result, which are kept beside it too: so a hit asks one end. */
export type Beside = Pick<ActionResult, 'outputFiles' | 'stdoutDigest' | 'stderrDigest'>

/** The same for all results that are the same work: what was printed has what room the outputs leave. */
export function besideOf(result: ActionResult): Beside {
  let leftBytes = MOST_BYTES
  const seen = new Set<string>()
  const isBeside = (digest: Digest | undefined): digest is Digest => {
    if (digest === undefined || digest.sizeBytes === 0 || digest.sizeBytes > BESIDE_BLOB_BYTES) return false
    if (digest.sizeBytes > leftBytes || seen.has(digest.hash)) return false
    seen.add(digest.hash)
    leftBytes -= digest.sizeBytes
    return true
  }
  const outputs = [
    ...result.outputFiles.filter(({ contents }) => contents.length === 0).map(({ digest }) => digest),
    ...result.outputDirectories.flatMap(({ treeDigest, rootDirectoryDigest }) => [treeDigest, rootDirectoryDigest]),
  ].filter(isBeside)
  const { stdoutDigest, stderrDigest } = result
  return {
    outputFiles: outputs.map(numberedFile),
    stdoutDigest: isBeside(stdoutDigest) ? stdoutDigest : undefined,
    stderrDigest: isBeside(stderrDigest) ? stderrDigest : undefined,
  }
}

export function numberedFile(digest: Digest, number: number): OutputFile {
  return { path: `${number}`, digest, isExecutable: false, contents: Buffer.alloc(0) }
}

export const NOTHING_BESIDE: Beside = { outputFiles: [], stdoutDigest: undefined, stderrDigest: undefined }

export function digestsOf({ outputFiles, stdoutDigest, stderrDigest }: Beside): Digest[] {
  return [...outputFiles.map(({ digest }) => digest), stdoutDigest, stderrDigest].filter(
    (digest) => digest !== undefined,
  )
}

/** What blobs and action results of the same ends know of each other. */
export interface BesideParts {
  readonly homes: Homes
  readonly written: WrittenBlobs
}
