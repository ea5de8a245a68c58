import type { Digest } from '../../digest/digest.ts'
import type { ActionStore, BlobNames, BlobStore, Frames, Ingest, Scope } from '../contracts.ts'
import type { FleetLeases } from '../fleet-leases.ts'
import type { Patience } from './remote-server.ts'

/** A server's blobs and action results. Nothing is asked before it must be, and nothing is tried again. */
export interface RemoteEnd extends AsyncDisposable {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
  /**
   * The same action results, complete when `blobs` has what they name: for ends that look that up themselves, so that results and
   * blobs can lie in different places.
   */
  readonly actionsOver?: (blobs: BlobStore) => ActionStore
  /** Where its protocol has a word for zstd. Checked like any read, so a large frame waits in a file; a server without zstd has none. */
  readonly frames?: Frames
  /** The short way for large blobs into a store on this machine. */
  readonly fetches?: Fetches
  /** Where blobs can be found by their hash alone. */
  readonly names?: BlobNames
  /** Of a fleet that has them: which machine does an action's work, while the others wait. */
  readonly fleetLeases?: FleetLeases
  /**
   * Bytes of answers that have come so far, of whatever call: by which those who wait (`guarded`) see that something moves though
   * nothing is handed out before it is whole. Without it what is slow and large looks dead, so every end on a network counts.
   */
  readonly receivedBytes?: () => number
}

/** A store on this machine that is filled from another. Both of its writes check what they are given. */
export interface NearStore {
  readonly blobs: Pick<BlobStore, 'write'>
  readonly frames?: Frames | undefined
}

/** For ends that can hand a blob over while it arrives, since nobody sees it before its new keeper has checked it. */
export interface Fetches {
  /**
   * Writes a blob into `near`: as the frames it comes in, where both sides have them, and without waiting for all of it. False where
   * the end does not have it; `store.corrupt` where what came is another one, and nothing was kept.
   */
  fetchInto(scope: Scope, digest: Digest, near: NearStore, signal?: AbortSignal): Promise<boolean>
}

export interface RemoteEndOptions extends Patience {
  /** Where large blobs lie until they are known to be right; the system's own folder for such things unless said. */
  readonly tmpDir?: string | undefined
}
