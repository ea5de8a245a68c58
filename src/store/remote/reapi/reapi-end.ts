import { GrpcChannel } from '../grpc/grpc-channel.ts'
import type { RemoteEnd, RemoteEndOptions } from '../remote-end.ts'
import type { RemoteServer } from '../remote-server.ts'
import { ArrivedBlobs } from './arrived-blobs.ts'
import { AskedCapabilities } from './capabilities.ts'
import { reapiActions } from './reapi-actions.ts'
import { reapiBlobs } from './reapi-blobs.ts'

/** A server that speaks REAPI v2 over gRPC. All calls share a connection, which is opened anew after it broke. */
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
