import type { ActionStore, BlobNames, BlobStore, Frames, Ingest } from '../contracts.ts'
import type { FleetLeases } from '../fleet-leases.ts'
import type { LocalStore } from '../local/local-store.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { tiered } from '../tiered/tiered.ts'
import { ThroughBlobs } from './through-blobs.ts'

export interface WriteThroughOptions {
  /** The far end's name, for people. */
  readonly place: string
  /** Unix milliseconds. */
  readonly now?: () => number
}

/** What a server serves of it. Dispose of it before both stores, which stay open. */
export interface WriteThroughStore extends AsyncDisposable {
  readonly blobs: BlobStore & Ingest
  readonly frames: Frames
  readonly actions: ActionStore
  readonly names: BlobNames
  readonly fleetLeases: FleetLeases | undefined
}

/**
 * `far` is what is kept, `near` a faster copy of it: a write is done when it is done far, so that any number of servers with
 * the same far end are one. Writes and look-ups throw `remote.*` where the far end fails; a read of a blob that fails is a blob that is not there.
 */
export function writeThrough(
  near: Pick<LocalStore, 'blobs' | 'frames' | 'actions' | 'names' | 'records' | 'leases'>,
  far: RemoteEnd,
  { place, now = Date.now }: WriteThroughOptions,
): WriteThroughStore {
  const tier = tiered(near, async () => far, { place, write: false, fetch: 'asked', now })
  const blobs = new ThroughBlobs({ near, far, reads: tier.blobs, now })
  return {
    ...{ blobs, frames: blobs, fleetLeases: far.fleetLeases },
    actions: far.actionsOver?.(blobs) ?? far.actions,
    names: {
      digestOf: async (scope, hash, signal) =>
        (await near.names.digestOf(scope, hash)) ?? (await far.names?.digestOf(scope, hash, signal)),
    },
    [Symbol.asyncDispose]: () => tier[Symbol.asyncDispose](),
  }
}
