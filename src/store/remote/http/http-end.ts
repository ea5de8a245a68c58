import type { RemoteEnd, RemoteEndOptions } from '../remote-end.ts'
import type { RemoteServer } from '../remote-server.ts'
import { httpActions } from './http-actions.ts'
import { httpBlobs } from './http-blobs.ts'
import { HttpClient } from './http-client.ts'

/** A server with Bazel's HTTP layout, as any that keeps files by their names may be. Connections are kept. */
export function httpEnd(server: RemoteServer, { tmpDir, ...patience }: RemoteEndOptions): RemoteEnd {
  const client = new HttpClient(server, patience)
  return {
    blobs: httpBlobs(client, tmpDir),
    actions: httpActions(client),
    receivedBytes: () => client.receivedBytes,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
    },
  }
}
