import type { Compression } from '../../local/compression.ts'
import type { ArrivedBlobs } from '../arrived-blobs.ts'
import type { NewObjects } from './new-objects.ts'
import type { S3Client } from './s3-client.ts'
import type { StoredBlobs } from './stored-blobs.ts'

/** What the stores of one end share. */
export interface Bucket {
  readonly client: S3Client
  readonly stored: StoredBlobs
  readonly objects: NewObjects
  readonly compression: Compression
  /** What came with action results. */
  readonly arrived: ArrivedBlobs
  /** Where large blobs lie until they are known to be right; the system's own folder unless said. */
  readonly tmpDir: string | undefined
}
