import { CacheError } from '../../errors.ts'
import type { RemoteServer, RemoteTls } from './remote-server.ts'
import type { S3Access } from './s3/s3-address.ts'
import { shownAddress } from './shown-address.ts'
import { splitAddress } from './split-address.ts'

export interface RemoteAccess {
  /** Sent as a bearer token. */
  readonly token?: string | undefined
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** As `headers`, asked for before each request: for credentials that expire. What it throws, the request throws. */
  readonly freshHeaders?: (() => Promise<Readonly<Record<string, string>>>) | undefined
  readonly tls?: RemoteTls
  /** What the way leads through, by CONNECT. */
  readonly proxy?: URL | undefined
  /** What the address of a bucket leaves unsaid. */
  readonly s3?: S3Access
}

export type RemoteAddress = RemoteServer & { readonly protocol: 'reapi' | 'http' }

/**
 * `grpc://HOST:PORT`, `grpcs://HOST`, `unix:/path` (REAPI), `http://HOST/path`, `https://HOST` (Bazel's HTTP layout). Throws
 * `usage`, with no secret in it. A token may stand in the address as a password, unless another is given.
 */
export function parseRemote(text: string, access: RemoteAccess = {}): RemoteAddress {
  const { token, headers = {}, tls = {}, freshHeaders, proxy } = access
  const address = splitAddress(text)
  if (address === undefined) throw noAddress(text)
  const { scheme, url, socketPath, token: ownToken } = address
  const common = { url, headers: shown(headers, token ?? ownToken), freshHeaders, tls }
  if (socketPath !== undefined) return { ...common, protocol: 'reapi', socketPath, place: text }
  const protocol = scheme === 'http:' || scheme === 'https:' ? 'http' : 'reapi'
  if (protocol === 'reapi' && url.pathname !== '/') throw noAddress(text)
  return { ...common, protocol, place: `${scheme}//${url.host}${url.pathname.replace(/\/+$/, '')}`, proxy }
}

function shown(headers: Readonly<Record<string, string>>, token: string | undefined): Record<string, string> {
  return { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers }
}

function noAddress(text: string): CacheError {
  return new CacheError('usage', `"${shownAddress(text)}" is no address of a remote cache.`, {
    hint: 'Write it as grpc://HOST:PORT, grpcs://HOST, unix:/path/of/socket, http://HOST:PORT/path or https://HOST.',
  })
}
