import type { BlobFiles } from '../contracts.ts'
import type { LargeBlobFilesOptions } from './large-blob-files.ts'

/** Loaded by the first large file that is captured or restored. */
export function lazyBlobFiles(options: LargeBlobFilesOptions): BlobFiles {
  let loading: Promise<BlobFiles> | undefined
  const load = () => {
    loading ??= import('./large-blob-files.ts').then(({ largeBlobFiles }) => largeBlobFiles(options))
    return loading
  }
  return {
    place: async (...asked) => (await load()).place(...asked),
    ingestFile: async (...asked) => (await load()).ingestFile(...asked),
  }
}
