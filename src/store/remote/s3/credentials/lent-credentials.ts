import type { S3Credentials } from '../s3-address.ts'

/** Credentials, and when they end in Unix milliseconds, where they do. */
export interface LentCredentials extends S3Credentials {
  readonly expiresMs?: number | undefined
}

/** The words of {@link lentBy} as programs and metadata services give them: JSON; undefined where it is none. */
export function lentIn(text: string): LentCredentials | undefined {
  const said = parsed(text)
  const { SessionToken, Token } = said
  return lentBy({ ...said, SessionToken: SessionToken ?? Token })
}

/** Undefined where there is no access key with its secret. */
export function lentBy({
  AccessKeyId: accessKeyId,
  SecretAccessKey: secretAccessKey,
  SessionToken: token,
  Expiration: end,
}: Readonly<Record<string, unknown>>): LentCredentials | undefined {
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') return undefined
  const expiresMs = typeof end === 'string' ? Date.parse(end) : Number.NaN
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken: typeof token === 'string' && token !== '' ? token : undefined,
    expiresMs: Number.isNaN(expiresMs) ? undefined : expiresMs,
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
