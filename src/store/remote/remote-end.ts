import type { ActionStore, BlobStore, Ingest } from '../contracts.ts'
import type { Patience } from './remote-server.ts'

/** A server's blobs and action results. Nothing is asked before it must be, and nothing is tried again. */
export interface RemoteEnd extends AsyncDisposable {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
}

export interface RemoteEndOptions extends Patience {
  /** Where large blobs lie until they are known to be right; the system's own folder for such things unless said. */
  readonly tmpDir?: string | undefined
}
