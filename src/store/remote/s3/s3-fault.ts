import { CacheError, type ErrorCode, isCacheError } from '../../../errors.ts'
import type { S3Address } from './s3-address.ts'

/** An answer of an S3 store that is of no use. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Its body: XML with a code and words, or nothing. */
  readonly text: string
}

/** The code that the store gives a person or a program, such as `NoSuchKey`; empty where it gives none. */
export function codeIn(text: string): string {
  return elementIn(text, 'Code') ?? ''
}

/** Reads one element of an answer. Answers are small, and of the few that are read none holds another of its name. */
export function elementIn(text: string, name: string): string | undefined {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]
  return found?.replace(/&(quot|amp|lt|gt|apos|#34|#39);/g, (_, entity: string) => ENTITIES[entity] ?? '')
}

const ENTITIES: Readonly<Record<string, string>> = {
  quot: '"',
  '#34': '"',
  apos: "'",
  '#39': "'",
  amp: '&',
  lt: '<',
  gt: '>',
}

/** Whether others would do: those that were shown have ended, or are not known any more. */
export function isOfOldCredentials(error: unknown): boolean {
  return isCacheError(error) && error.code === 'remote.denied' && OLD.has(String(error.context.code))
}

const OLD = new Set([
  ...['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired', 'InvalidToken'],
  ...['InvalidAccessKeyId', 'SignatureDoesNotMatch'],
])

/** What the store said, in a person's words, with the cure where there is one. Its own words may repeat keys, so only its code is. */
export function s3Fault({ place, region }: Pick<S3Address, 'place' | 'region'>, refusal: Refusal): CacheError {
  const { status, headers, text } = refusal
  const said = codeIn(text)
  // Amazon's and others' words for being asked too much; an answer to HEAD has none.
  const isBusy = status === 429 || status === 503
  const context = { server: place, status, ...(said !== '' && { code: said }), ...(isBusy && { isBusy }) }
  const fault = (code: ErrorCode, message: string, hint: string) => new CacheError(code, message, { hint, context })
  const answered = `${place} answered ${said === '' ? `HTTP ${status}` : `${said} (HTTP ${status})`}`
  const itsRegion = headers['x-amz-bucket-region'] ?? elementIn(text, 'Region')
  if (typeof itsRegion === 'string' && itsRegion !== region && (status === 400 || (status >= 300 && status < 400)))
    return fault(
      'remote.incompatible',
      `${place} lies in the region ${itsRegion}, not in ${region}.`,
      `Write region=${itsRegion} in its address, or set AWS_REGION.`,
    )
  const known = KNOWN[said]
  if (known !== undefined) return fault(known[0], `${answered}: ${known[1]}.`, known[2])
  if (status >= 300 && status < 400)
    return fault('remote.incompatible', `${answered}: it sends on.`, 'Name the endpoint that it sends on to.')
  if (status === 401 || status === 403)
    return fault(
      'remote.denied',
      `${answered}: these credentials may not do that.`,
      'They need s3:GetObject, s3:PutObject and s3:DeleteObject on its objects, and s3:ListBucket on the bucket: without that S3 denies what is merely not there.',
    )
  if (status === 507) return fault(FULL[0], `${answered}: ${FULL[1]}.`, FULL[2])
  if (status === 429 || status === 500 || status === 502 || status === 503 || status === 504)
    return fault('remote.unreachable', `${answered}.`, 'It is busy or restarting; later it may answer.')
  if (status === 405 || status === 501 || said === '')
    return fault('remote.incompatible', `${answered}.`, 'Is that the endpoint of an S3 store?')
  return fault('remote.failed', `${answered}.`, 'Its documentation says what that code means.')
}

const BUSY = ['remote.unreachable', 'it is busy', 'It may answer later.'] as const
const FULL = ['store.full', 'it has no room for more', 'Give it some, or let its rules take more away.'] as const
const KEY = 'Are the access key and its secret right, and for this store?'
const TOKEN = 'Get new ones, such as by `aws sso login`.'

const KNOWN: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  NoSuchBucket: ['remote.incompatible', 'there is no such bucket', 'Create it, or correct its name or endpoint.'],
  RequestTimeTooSkewed: [
    'remote.denied',
    'the clock here and the clock there differ',
    'Set the clock of this machine.',
  ],
  InvalidAccessKeyId: ['remote.denied', 'it does not know the access key', KEY],
  XAdminUserNotFound: ['remote.denied', 'it does not know the access key', KEY],
  SignatureDoesNotMatch: ['remote.denied', 'the secret does not belong to the access key', KEY],
  ExpiredToken: ['remote.denied', 'the credentials have expired', TOKEN],
  ExpiredTokenException: ['remote.denied', 'the credentials have expired', TOKEN],
  TokenRefreshRequired: ['remote.denied', 'the credentials have expired', TOKEN],
  InvalidToken: ['remote.denied', 'the token of the session is not right', TOKEN],
  SlowDown: BUSY,
  InternalError: BUSY,
  OperationAborted: BUSY,
  RequestTimeout: BUSY,
  XMinioStorageFull: FULL,
  XMinioAdminBucketQuotaExceeded: FULL,
  QuotaExceeded: FULL,
  XAmzContentSHA256Mismatch: [
    'remote.unreachable',
    'what arrived is not what was sent',
    'Something on the way changes it.',
  ],
  BadDigest: ['remote.unreachable', 'what arrived is not what was sent', 'Something on the way changes it.'],
  IncompleteBody: ['remote.unreachable', 'not all of it arrived', 'Something on the way cuts it.'],
}
