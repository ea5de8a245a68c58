import { flatResult } from '../action/outputs/result-tree.ts'
import type { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { type BlobStore, DEFAULT_SCOPE, type Ingest } from '../store/contracts.ts'

/** One file or link among the outputs of a kept result. */
export interface ResultFile {
  /** Relative to the root. */
  readonly path: string
  readonly sizeBytes: number
  readonly isExecutable: boolean
  /** Of a symbolic link. */
  readonly target?: string
}

/** All files and links that a result puts into the workspace, sorted by path; undefined where its trees are not whole. */
export async function resultFiles(
  blobs: BlobStore & Ingest,
  result: ActionResult,
  options: { readonly workingDirectory: string; readonly signal?: AbortSignal },
): Promise<ResultFile[] | undefined> {
  const { workingDirectory, signal } = options
  const flat = await flatResult({ blobs, scope: DEFAULT_SCOPE, workingDirectory }, result, signal)
  if (flat.kind !== 'flat') return undefined
  const files = flat.entries.flatMap((entry): ResultFile[] => {
    const { path } = entry
    if (entry.kind === 'file') return [{ path, sizeBytes: entry.digest.sizeBytes, isExecutable: entry.isExecutable }]
    return entry.kind === 'link' ? [{ path, sizeBytes: 0, isExecutable: false, target: entry.target }] : []
  })
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}
