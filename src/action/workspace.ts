import type { BlobFiles, BlobStore, Ingest, Leases, Scope, WorkspaceRecords } from '../store/contracts.ts'

/** A checkout, and what is needed to change it safely. */
export interface Workspace {
  /** Absolute real path. */
  readonly root: string
  /**
   * Relative to the root; empty unless said. Action results spell their outputs relative to it, as REAPI demands;
   * everything else is relative to the root.
   */
  readonly workingDirectory?: string
  readonly blobs: BlobStore & Ingest
  /** Where blobs and workspace can share bytes on disk. */
  readonly files?: BlobFiles
  readonly scope: Scope
  readonly records: WorkspaceRecords
  readonly leases: Leases
  /** The cache folder; no output may be in it or contain it. */
  readonly cacheDir: string
  /** `<cache>/trash`: what is in the way of an output and not recue's is moved here, never deleted. */
  readonly trashDir: string
  /** `<cache>/tmp`: staging, used where it is on the workspace's file system. */
  readonly tmpDir: string
  /** HOME: never an output. */
  readonly home: string
}
