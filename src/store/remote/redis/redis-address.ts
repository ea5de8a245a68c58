import { CacheError } from '../../../errors.ts'
import { parseDuration } from '../../../units/duration.ts'
import { parseSize } from '../../../units/size.ts'
import { BATCH_BLOB_BYTES } from '../../contracts.ts'
import type { RemoteAccess } from '../remote-address.ts'
import type { RemoteServer } from '../remote-server.ts'
import { shownAddress } from '../shown-address.ts'

/** A Redis or Valkey, and how it is used. */
export interface RedisServer extends RemoteServer {
  readonly port: number
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** How long what nobody uses is kept. */
  readonly ttlMs: number
  /** Blobs above this are not kept: Redis holds all it has in memory, and one large value holds up everybody's small ones. */
  readonly mostBlobBytes: number
}

/** Fourteen days: a branch that lay for a fortnight is built anew. */
const TTL_MS = 14 * 86_400_000
/** A value is held whole, here and there. */
const MOST_BLOB_BYTES = 64 << 20

/**
 * `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://` with TLS, `redis+unix:/path/of/socket`; `valkey` is the same. Behind a `?`:
 * `ttl=14d`, `max-blob=1MiB`, and for a socket `db=0`. A token that is given is the password. Throws `usage`, with no secret in it.
 */
export function parseRedis(text: string, { token, tls = {} }: RemoteAccess = {}): RedisServer {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSocket = /^\w+\+unix:/i.test(text)
  const isKnown = /^(redis|valkey)(s?:\/\/|\+unix:)/i.test(text)
  const path = decodeURIComponent(url?.pathname ?? '')
  if (!isKnown || url === undefined || (url.hostname === '') !== isSocket) throw noAddress(text)
  const asked = new Map(url.searchParams)
  const database = isSocket ? (asked.get('db') ?? '0') : path.slice(1) || '0'
  const known = isSocket ? ['ttl', 'max-blob', 'db'] : ['ttl', 'max-blob']
  if (!/^\d{1,9}$/.test(database) || [...asked.keys()].some((name) => !known.includes(name))) throw noAddress(text)
  if (isSocket && path.length < 2) throw noAddress(text)
  const ttlMs = parseDuration(asked.get('ttl') ?? `${TTL_MS}ms`)
  const mostBlobBytes = parseSize(asked.get('max-blob') ?? String(BATCH_BLOB_BYTES))
  if (ttlMs < 1000 || mostBlobBytes > MOST_BLOB_BYTES)
    throw new CacheError('usage', 'A Redis keeps what it is given for 1 s at least, and blobs of 64 MiB at most.', {
      hint: 'Write ttl=14d and max-blob=1MiB, or other values within that.',
    })
  const scheme = url.protocol.toLowerCase()
  const isTls = scheme === 'rediss:' || scheme === 'valkeys:'
  const port = Number(url.port || 6379)
  return {
    // What a connection is made to stands in `port` and `socketPath`; this says whether there is TLS, and the name.
    url: new URL(isSocket ? 'http://localhost' : `${isTls ? 'https' : 'http'}://${url.hostname}`),
    ...(isSocket && { socketPath: path }),
    place: isSocket ? `${scheme}${path}` : `${scheme}//${url.hostname}:${port}/${database}`,
    headers: {},
    tls,
    port,
    user: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: token ?? (url.password === '' ? undefined : decodeURIComponent(url.password)),
    database: Number(database),
    ...{ ttlMs, mostBlobBytes },
  }
}

function noAddress(text: string): CacheError {
  return new CacheError('usage', `"${shownAddress(text)}" is no address of a Redis.`, {
    hint: 'Write it as redis://USER:PASSWORD@HOST:PORT/DB, rediss://HOST or redis+unix:/path/of/socket; behind it ?ttl=14d&max-blob=1MiB.',
  })
}
