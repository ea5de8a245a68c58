import { createHash, timingSafeEqual } from 'node:crypto'
import { CacheError } from '../errors.ts'

/** What a client may do. */
export type Access = 'none' | 'read' | 'write'

/** Who may do what: the one place that decides it. */
export interface Gate {
  /** By the `Authorization` header: a bearer token, the password of basic authentication, or the id of S3's access key. */
  accessOf(authorization: string | undefined): Access
  /** Nobody has to show a token. */
  readonly isOpen: boolean
}

/** Whoever reaches the address may read and write: for one machine, or behind something that asks for names itself. */
export const OPEN: Gate = { isOpen: true, accessOf: () => 'write' }

const FEWEST_CHARACTERS = 16

/**
 * From lines of `read TOKEN` or `write TOKEN`; empty ones and those that begin with # count for nothing. Throws
 * `config.invalid` with the line's number, and never with what stands in it. Tokens are kept as hashes and compared in
 * constant time.
 */
export function gateOf(text: string, where: string): Gate {
  const tokens: { readonly hash: Buffer; readonly access: Access }[] = []
  text.split('\n').forEach((line, i) => {
    const words = line.trim().split(/\s+/)
    if (words[0] === '' || words[0]?.startsWith('#')) return
    const [access, token, ...more] = words
    if ((access !== 'read' && access !== 'write') || token === undefined || more.length > 0)
      throw invalid(where, i, 'is neither "read TOKEN" nor "write TOKEN"')
    if (token.length < FEWEST_CHARACTERS)
      throw invalid(where, i, `has a token of less than ${FEWEST_CHARACTERS} characters`)
    tokens.push({ hash: hashOf(token), access })
  })
  if (tokens.length === 0) throw new CacheError('config.invalid', `${where} holds no token.`, { hint: HINT })
  return { isOpen: false, accessOf: (authorization) => accessFor(tokenIn(authorization), tokens) }
}

const HINT = 'A line each: read TOKEN, or write TOKEN.'

function invalid(where: string, index: number, what: string): CacheError {
  return new CacheError('config.invalid', `${where}, line ${index + 1}: ${what}.`, { hint: HINT })
}

/** All are compared, so that the time tells nothing. */
function accessFor(token: string | undefined, tokens: readonly { hash: Buffer; access: Access }[]): Access {
  if (token === undefined) return 'none'
  const hash = hashOf(token)
  let access: Access = 'none'
  for (const known of tokens) if (timingSafeEqual(known.hash, hash) && access !== 'write') access = known.access
  return access
}

/** Of S3's signature (AWS4-HMAC-SHA256) the id of the access key. */
const SIGNED = /^AWS4-HMAC-SHA256 +Credential=([^\s,]+)\/\d{8}\/[^\s,/]+\/s3\/aws4_request *,/

function tokenIn(authorization: string | undefined): string | undefined {
  const signed = SIGNED.exec(authorization ?? '')
  if (signed !== null) return signed[1]
  const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(authorization ?? '') ?? []
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return undefined
  const pair = Buffer.from(value, 'base64').toString()
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
