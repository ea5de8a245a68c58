import { createHmac } from 'node:crypto'
import { sha256Hex } from '../../../digest/sha256.ts'
import type { S3Credentials } from './s3-address.ts'

export interface UnsignedRequest {
  readonly method: string
  readonly host: string
  /** As it is sent: see {@link encodedPath}. */
  readonly path: string
  /** As it is sent: see {@link encodedQuery}. */
  readonly query: string
  /** In lower case, with no space around what they say. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex. The store compares it, too, so a body that changed on the way is not kept. */
  readonly payloadHash: string
}

/**
 * Signs requests to S3, or to what gives roles away (STS), with AWS Signature Version 4, as Amazon's "Authenticating Requests: Using the Authorization Header" has it,
 * the body in one chunk.
 */
export class Signer {
  readonly #region: string
  readonly #service: string
  #key: { readonly for: string; readonly bytes: Buffer } | undefined

  constructor(region: string, service: 's3' | 'sts' = 's3') {
    this.#region = region
    this.#service = service
  }

  /** The headers of the request with those that sign it. */
  sign(request: UnsignedRequest, credentials: S3Credentials, now: Date): Record<string, string> {
    const time = now.toISOString().replace(/[-:]|\.\d{3}/g, '')
    const scope = `${time.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`
    const { accessKeyId, sessionToken } = credentials
    const headers: Record<string, string> = {
      ...request.headers,
      'x-amz-content-sha256': request.payloadHash,
      'x-amz-date': time,
      ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    }
    const signed = Object.entries({ ...headers, host: request.host }).sort(([a], [b]) => (a < b ? -1 : 1))
    const names = signed.map(([name]) => name).join(';')
    const lines = signed.map(([name, value]) => `${name}:${value}\n`).join('')
    const asked = [request.method, request.path, request.query, lines, names, request.payloadHash].join('\n')
    const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256Hex(asked)].join('\n')
    const signature = hmac(this.#keyFor(credentials, scope), toSign).toString('hex')
    const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},SignedHeaders=${names},Signature=${signature}`
    return { ...headers, authorization }
  }

  /** Another one each day. */
  #keyFor({ secretAccessKey }: S3Credentials, scope: string): Buffer {
    const sought = `${secretAccessKey}/${scope}`
    if (this.#key?.for !== sought) {
      const bytes = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`) as Buffer
      this.#key = { for: sought, bytes }
    }
    return this.#key.bytes
  }
}

/** Of a key, without the slash before it: each of its parts encoded once, as S3 wants it signed and sent. */
export function encodedPath(key: string): string {
  return key.split('/').map(encoded).join('/')
}

export function encodedQuery(query: Readonly<Record<string, string>>): string {
  const parts = Object.entries(query).map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
  return parts.sort().join('&')
}

/** RFC 3986's unreserved characters stay as they are, and no others. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
