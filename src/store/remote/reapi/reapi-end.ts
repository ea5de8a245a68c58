import type { ActionStore, BlobStore, Ingest } from '../../contracts.ts'
import { GrpcChannel } from '../grpc/grpc-channel.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import { ArrivedBlobs } from './arrived-blobs.ts'
import { AskedCapabilities } from './capabilities.ts'
import { reapiActions } from './reapi-actions.ts'
import { reapiBlobs } from './reapi-blobs.ts'

export interface RemoteEnd extends AsyncDisposable {
  readonly blobs: BlobStore & Ingest
  readonly actions: ActionStore
}

export interface RemoteEndOptions extends Patience {
  /** Where large blobs lie until they are known to be right; the system's own folder for such things unless said. */
  readonly tmpDir?: string | undefined
}

/**
 * A server that speaks REAPI v2 over gRPC. Nothing is asked before it must be; nothing is tried again. All calls share a
 * connection, which is opened anew after it broke.
 */
export function reapiEnd(server: RemoteServer, { tmpDir, ...patience }: RemoteEndOptions): RemoteEnd {
  const channel = new GrpcChannel(server, patience)
  const options = { channel, capabilities: new AskedCapabilities(channel), arrived: new ArrivedBlobs(), tmpDir }
  return {
    blobs: reapiBlobs(options),
    actions: reapiActions(options),
    async [Symbol.asyncDispose]() {
      channel[Symbol.dispose]()
    },
  }
}
