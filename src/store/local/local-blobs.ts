import type { BlobStore, Ingest } from '../contracts.ts'
import { BlobIntake, type BlobIntakeOptions } from './blob-intake.ts'
import { BlobLookup, type BlobLookupOptions } from './blob-lookup.ts'
import { BlobReads, type BlobReadsOptions } from './blob-reads.ts'

export type LocalBlobsOptions = BlobLookupOptions & Omit<BlobReadsOptions & BlobIntakeOptions, 'lookup'>

/** The blobs of the engine: small ones in packs in the journal, large ones in files, all found by the index. Content is the same in every scope. */
export function localBlobs(options: LocalBlobsOptions): BlobStore & Ingest {
  const lookup = new BlobLookup(options)
  const reads = new BlobReads({ ...options, lookup })
  const intake = new BlobIntake({ ...options, lookup })
  return {
    async missing(_scope, digests, signal) {
      signal?.throwIfAborted()
      return lookup.missing(digests)
    },
    read: (_scope, digest, options) => reads.read(digest, options),
    readBatch: (_scope, digests, signal) => reads.readBatch(digests, signal),
    write: (_scope, digest, bytes, signal) => intake.write(digest, bytes, signal),
    ingest: (_scope, bytes, signal) => intake.ingest(bytes, signal),
  }
}
