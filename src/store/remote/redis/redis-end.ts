import type { RemoteEnd, RemoteEndOptions } from '../remote-end.ts'
import { redisActions } from './redis-actions.ts'
import type { RedisServer } from './redis-address.ts'
import { redisBlobs } from './redis-blobs.ts'
import { RedisClient } from './redis-client.ts'
import { redisLeases } from './redis-leases.ts'
import { Touches } from './touches.ts'

/** A Redis or Valkey: action results and small blobs, each kept for a time since it was last used. */
export function redisEnd(server: RedisServer, patience: Pick<RemoteEndOptions, 'connectMs' | 'idleMs'>): RemoteEnd {
  const client = new RedisClient(server, patience)
  const touches = new Touches(server.ttlMs)
  const blobs = redisBlobs(client, touches)
  return {
    blobs,
    actions: redisActions(client, touches, blobs),
    actionsOver: (others) => redisActions(client, touches, others),
    fleetLeases: redisLeases(client),
    receivedBytes: () => client.receivedBytes,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]()
    },
  }
}
