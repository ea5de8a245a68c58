import type { ActionStore, BlobNames, BlobStore, Ingest, Leases, WorkspaceRecords } from '../contracts.ts'
import { memoryActions } from './memory-actions.ts'
import { memoryBlobs } from './memory-blobs.ts'
import { memoryLeases } from './memory-leases.ts'
import { memoryRecords } from './memory-records.ts'

export interface MemoryStore {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  readonly names: BlobNames
  readonly records: WorkspaceRecords
  readonly leases: Leases
}

/** A store that lives and dies with the process: for tests, and for tools that want no folder. It is not bounded. */
export function memoryStore(): MemoryStore {
  const blobs = memoryBlobs()
  return { blobs, names: blobs, actions: memoryActions(blobs), records: memoryRecords(), leases: memoryLeases() }
}
