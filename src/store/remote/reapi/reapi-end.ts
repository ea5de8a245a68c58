import { compressionOf } from '../../local/compression.ts'
import { ArrivedBlobs } from '../arrived-blobs.ts'
import { GrpcChannel } from '../grpc/grpc-channel.ts'
import type { RemoteEnd, RemoteEndOptions } from '../remote-end.ts'
import type { RemoteServer } from '../remote-server.ts'
import { AskedCapabilities } from './capabilities.ts'
import { LargeBlobCalls } from './large-blob-calls.ts'
import { reapiActions } from './reapi-actions.ts'
import { reapiBlobs } from './reapi-blobs.ts'
import { reapiFetches } from './reapi-fetches.ts'
import { reapiFrames } from './reapi-frames.ts'
import { remoteLeases } from './remote-leases.ts'
import { SmallBlobCalls } from './small-blob-calls.ts'

/** For what is sent: faster than networks, and servers keep it as it comes. */
const LEVEL = 3

/** A server that speaks REAPI v2 over gRPC. All calls share a connection, which is opened anew after it broke. */
export function reapiEnd(server: RemoteServer, { tmpDir, ...patience }: RemoteEndOptions): RemoteEnd {
  const channel = new GrpcChannel(server, patience)
  const capabilities = new AskedCapabilities(channel)
  const compression = compressionOf(LEVEL)
  const small = new SmallBlobCalls(channel, capabilities, compression)
  const large = new LargeBlobCalls(channel, capabilities, compression)
  const options = { channel, capabilities, compression, small, large, arrived: new ArrivedBlobs(), tmpDir }
  return {
    blobs: reapiBlobs(options),
    actions: reapiActions(options),
    frames: reapiFrames(options),
    fetches: reapiFetches(options),
    receivedBytes: () => channel.receivedBytes,
    fleetLeases: remoteLeases(channel),
    async [Symbol.asyncDispose]() {
      channel[Symbol.dispose]()
    },
  }
}
