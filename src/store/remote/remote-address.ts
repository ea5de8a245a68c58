import { CacheError } from '../../errors.ts'
import type { RemoteServer, RemoteTls } from './remote-server.ts'
import type { S3Access } from './s3/s3-address.ts'
import { shownAddress } from './shown-address.ts'

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

const SCHEMES = {
  'grpc:': { protocol: 'reapi', http: 'http:' },
  'grpcs:': { protocol: 'reapi', http: 'https:' },
  'http:': { protocol: 'http', http: 'http:' },
  'https:': { protocol: 'http', http: 'https:' },
} as const

/**
 * `grpc://HOST:PORT`, `grpcs://HOST`, `unix:/path` (REAPI), `http://HOST/path`, `https://HOST` (Bazel's HTTP layout). Throws
 * `usage`, with no secret in it. A token may stand in the address as a password, unless another is given.
 */
export function parseRemote(text: string, access: RemoteAccess = {}): RemoteAddress {
  const { token, headers = {}, tls = {}, freshHeaders, proxy } = access
  if (text.startsWith('unix:') && text.length > 'unix:'.length) {
    const socketPath = text.slice('unix:'.length)
    const url = new URL('http://localhost')
    return { protocol: 'reapi', url, socketPath, place: text, headers: shown(headers, token), freshHeaders, tls }
  }
  const [, scheme = '', rest = ''] = /^([a-z]+:)\/\/(.+)$/i.exec(text) ?? []
  const known = SCHEMES[scheme.toLowerCase() as keyof typeof SCHEMES]
  if (known === undefined || !URL.canParse(`${known.http}//${rest}`)) throw noAddress(text)
  const url = new URL(`${known.http}//${rest}`)
  const ownToken = url.password === '' ? undefined : decodeURIComponent(url.password)
  url.username = url.password = url.search = url.hash = ''
  if (known.protocol === 'reapi' && url.pathname !== '/') throw noAddress(text)
  const place = `${scheme.toLowerCase()}//${url.host}${url.pathname.replace(/\/+$/, '')}`
  return { protocol: known.protocol, url, place, headers: shown(headers, token ?? ownToken), freshHeaders, tls, proxy }
}

function shown(headers: Readonly<Record<string, string>>, token: string | undefined): Record<string, string> {
  return { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers }
}

function noAddress(text: string): CacheError {
  return new CacheError('usage', `"${shownAddress(text)}" is no address of a remote cache.`, {
    hint: 'Write it as grpc://HOST:PORT, grpcs://HOST, unix:/path/of/socket, http://HOST:PORT/path or https://HOST.',
  })
}
