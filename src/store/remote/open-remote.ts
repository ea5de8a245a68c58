import { parseRemote, type RemoteAccess } from './remote-address.ts'
import type { RemoteEnd } from './remote-end.ts'
import { isBucket, isRedis } from './remote-origin.ts'

export interface RemoteOptions extends RemoteAccess {
  /** How long a connection may take; 5 s unless said. */
  readonly connectMs?: number
  /** How long nothing may move on a call; 30 s unless said. One call is bounded by its signal. */
  readonly idleMs?: number
  /** Where large blobs lie until they are known to be right; the system's own folder for such things unless said. */
  readonly tmpDir?: string
}

/**
 * The cache of a server: `grpc://HOST:PORT`, `grpcs://HOST` or `unix:/path` (REAPI v2), `http://HOST/path` or `https://HOST`
 * (Bazel's HTTP layout), `s3://BUCKET/PREFIX?endpoint=…&region=…` (a bucket of an S3-compatible store), `redis://HOST:PORT/DB`,
 * `rediss://HOST` or `redis+unix:/path`. Whatever comes from it is hashed before it is handed out: what is wrong ends in
 * `store.corrupt`. Nothing is asked before it must be, so a server that is not there is told of by the first call. Throws `usage`;
 * calls throw `remote.*`.
 */
export async function openRemote(address: string, options: RemoteOptions = {}): Promise<RemoteEnd> {
  const { connectMs = 5_000, idleMs = 30_000, tmpDir, ...access } = options
  if (isRedis(address)) {
    const [{ parseRedis }, { redisEnd }] = await Promise.all([
      import('./redis/redis-address.ts'),
      import('./redis/redis-end.ts'),
    ])
    return redisEnd(parseRedis(address, access), { connectMs, idleMs })
  }
  const patience = { connectMs, idleMs, tmpDir }
  if (isBucket(address)) {
    const { openS3 } = await import('./s3/s3-end.ts')
    return openS3(address, { ...access, ...patience })
  }
  const server = parseRemote(address, access)
  if (server.protocol === 'reapi') {
    const { reapiEnd } = await import('./reapi/reapi-end.ts')
    return reapiEnd(server, patience)
  }
  const { httpEnd } = await import('./http/http-end.ts')
  return httpEnd(server, patience)
}
