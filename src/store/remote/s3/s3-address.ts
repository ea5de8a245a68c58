import { CacheError } from '../../../errors.ts'

/** Who asks: an access key, with the token of a session where it has one. Never to be printed. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** What the address of a bucket does not say itself. What it says comes first. */
export interface S3Access {
  readonly endpoint?: string
  readonly region?: string
  /** A profile of the files that Amazon's own tools keep credentials in. */
  readonly profile?: string
  /** `none`: requests are not signed, for what anybody may read. Else they are looked for where Amazon's tools look. */
  readonly credentials?: S3Credentials | 'none'
  /** Where the values of variables come from; `process.env` unless said. */
  readonly environment?: Environment
}

export type Environment = Readonly<Record<string, string | undefined>>

/** A bucket, and how it is reached. */
export interface S3Address {
  /** The bucket's own: its name is in the host or in the path. */
  readonly url: URL
  readonly region: string
  /** Of all keys: empty, or ends in a slash. */
  readonly prefix: string
  readonly profile: string | undefined
  /** For messages: no secret is in it. */
  readonly place: string
}

const PARAMETERS = ['endpoint', 'region', 'profile', 'addressing_style'] as const

/**
 * `s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=…&profile=…&addressing_style=path|virtual`, all but the bucket optional.
 * With no endpoint it is Amazon's. Throws `usage`, with no secret in it.
 */
export function parseS3(text: string, access: S3Access = {}): S3Address {
  const { environment = process.env } = access
  const [, bucket = '', path = '', query = ''] = /^s3:\/\/([^/?#]*)([^?#]*)(\?[^#]*)?$/i.exec(text) ?? []
  if (!/^[a-z0-9][a-z0-9._-]{1,62}$/i.test(bucket)) throw noAddress(text, 'the name of a bucket comes after s3://')
  const said = new URLSearchParams(query)
  const odd = [...said.keys()].find((name) => !(PARAMETERS as readonly string[]).includes(name))
  if (odd !== undefined) throw noAddress(text, `it knows no "${odd}", only ${PARAMETERS.join(', ')}`)
  const region =
    said.get('region') ?? access.region ?? set(environment.AWS_REGION) ?? set(environment.AWS_DEFAULT_REGION)
  const endpoint =
    said.get('endpoint') ?? access.endpoint ?? set(environment.AWS_ENDPOINT_URL_S3) ?? set(environment.AWS_ENDPOINT_URL)
  const prefix = decoded(text, path).replace(/^\/+|\/+$/g, '')
  const server = endpoint === undefined ? amazons(region ?? FIRST_REGION) : serverAt(text, endpoint)
  const style = said.get('addressing_style') ?? (endpoint === undefined ? 'virtual' : 'path')
  if (style !== 'path' && style !== 'virtual') throw noAddress(text, 'addressing_style is path or virtual')
  return {
    url: bucketAt(server, bucket, style),
    region: region ?? FIRST_REGION,
    prefix: prefix === '' ? '' : `${prefix}/`,
    profile: said.get('profile') ?? access.profile,
    place: `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${endpoint === undefined ? '' : ` at ${server.origin}`}`,
  }
}

/** What Amazon's own tools take where nobody says; other stores mostly take any. */
const FIRST_REGION = 'us-east-1'

function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

function amazons(region: string): URL {
  return new URL(`https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`)
}

function serverAt(text: string, endpoint: string): URL {
  const whole = /^[a-z]+:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '')
    throw noAddress(text, 'its endpoint has to be https://HOST:PORT or http://HOST:PORT')
  return url
}

/** A dot in the name of a bucket is one too many for the certificates of hosts. */
function bucketAt(server: URL, bucket: string, style: 'path' | 'virtual'): URL {
  const path = server.pathname.replace(/\/+$/, '')
  if (style === 'path' || bucket.includes('.')) return new URL(`${path}/${bucket}`, server)
  return new URL(`${server.protocol}//${bucket}.${server.host}${path}`)
}

function decoded(text: string, path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw noAddress(text, 'a % in its path has to be written %25')
  }
}

function noAddress(text: string, why: string): CacheError {
  // An access key in the address is none of its parts, so nothing of what stands there is repeated.
  const shown = /@/.test(text) ? 's3://…' : text.replace(/\?.*/, '')
  return new CacheError('usage', `"${shown}" is no address of a bucket: ${why}.`, {
    hint: 'Write it as s3://BUCKET/PREFIX?region=REGION, for other stores than Amazon’s with &endpoint=https://HOST:PORT. Keys do not belong in it.',
  })
}
