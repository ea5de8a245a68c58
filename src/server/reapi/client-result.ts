import { type Digest, sameDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { blobDigestArgument } from './digest-argument.ts'

/** A result that came from a client, as it is to be kept: content that was within it becomes blobs, and stays named. */
export interface ClientResult {
  readonly result: ActionResult
  readonly contents: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[]
}

/** Throws INVALID_ARGUMENT for a digest or a path that is none. What its links and properties say is not ours to judge. */
export function clientResult(sent: ActionResult): ClientResult {
  const contents: { digest: Digest; bytes: Uint8Array }[] = []
  /** The digest under which content is found that may stand in the result, too. */
  const kept = (digest: Digest | undefined, bytes: Uint8Array, what: string): Digest | undefined => {
    if (bytes.length === 0) return digest && blobDigestArgument(digest, `The digest of ${what}`)
    const own = digestOf(bytes)
    if (digest !== undefined && !sameDigest(digest, own))
      throw invalid(`The digest of ${what} is not that of its content.`)
    contents.push({ digest: own, bytes })
    return own
  }
  const result: ActionResult = {
    ...sent,
    outputFiles: sent.outputFiles.map((file) => {
      const what = `output file ${checkedPath(file.path)}`
      const digest = kept(file.digest, file.contents, what)
      if (digest === undefined) throw invalid(`There is neither a digest nor content of ${what}.`)
      return { ...file, digest, contents: NOTHING }
    }),
    stdoutDigest: kept(sent.stdoutDigest, sent.stdoutRaw, 'stdout'),
    stderrDigest: kept(sent.stderrDigest, sent.stderrRaw, 'stderr'),
    ...{ stdoutRaw: NOTHING, stderrRaw: NOTHING },
  }
  for (const { path, treeDigest, rootDirectoryDigest } of sent.outputDirectories) {
    // An empty path is the working directory itself.
    const what = `output directory ${path === '' ? path : checkedPath(path)}`
    if (treeDigest === undefined && rootDirectoryDigest === undefined) throw invalid(`There is no digest of ${what}.`)
    if (treeDigest !== undefined) blobDigestArgument(treeDigest, `The digest of ${what}`)
    if (rootDirectoryDigest !== undefined) blobDigestArgument(rootDirectoryDigest, `The digest of ${what}`)
  }
  for (const links of [sent.outputSymlinks, sent.outputFileSymlinks, sent.outputDirectorySymlinks])
    for (const { path } of links) checkedPath(path)
  return { result, contents }
}

const NOTHING = Buffer.alloc(0)

/** `..` may stand in it: where the working directory is not the root, outputs lie beside it. */
function checkedPath(path: string): string {
  if (path !== '' && !path.startsWith('/') && !path.includes('\0')) return path
  throw invalid('A path of an output is empty, absolute, or no text.')
}

function invalid(message: string): GrpcStatus {
  return new GrpcStatus(GrpcCode.INVALID_ARGUMENT, message)
}
