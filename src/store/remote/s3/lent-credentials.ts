import type { LentCredentials } from './credential-source.ts'

/** The JSON in which programs and metadata services give credentials; undefined where it is none. */
export function lentIn(text: string): LentCredentials | undefined {
  const said = parsed(text)
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token, SessionToken, Expiration } = said
  if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') return undefined
  const token = SessionToken ?? Token
  const expiresMs = typeof Expiration === 'string' ? Date.parse(Expiration) : Number.NaN
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken: typeof token === 'string' ? token : undefined,
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
