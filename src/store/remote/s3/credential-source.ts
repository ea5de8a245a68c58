import { CacheError } from '../../../errors.ts'
import { abortable } from '../waiting.ts'
import type { Environment, S3Access, S3Address, S3Credentials } from './s3-address.ts'

/** Credentials, and when they end in Unix milliseconds, where they do. */
export interface LentCredentials extends S3Credentials {
  readonly expiresMs?: number | undefined
}

/** Where the credentials for one bucket come from: found when they are first needed, and again before they end. */
export interface CredentialSource {
  /** Undefined: requests are not to be signed. Throws `remote.denied` where none are found. */
  get(signal?: AbortSignal): Promise<S3Credentials | undefined>
  /** What was given last is not good any more. */
  renew(): void
}

/**
 * Those that were given; else, as Amazon's own tools look: the profile that is named, AWS_ACCESS_KEY_ID and its like, AWS_PROFILE or
 * the default profile, and what lends credentials to a container or a machine.
 */
export function credentialSource(
  address: S3Address,
  { credentials, environment = process.env }: S3Access,
): CredentialSource {
  return new FoundCredentials(async () => {
    if (credentials === 'none') return undefined
    const found = credentials ?? (await foundCredentials(address, environment))
    if (found !== undefined) return found
    throw new CacheError('remote.denied', `No credentials for ${address.place} are known here.`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile: AWS_PROFILE, or ?profile=NAME in its address.',
      context: { server: address.place },
    })
  })
}

async function foundCredentials(address: S3Address, environment: Environment): Promise<LentCredentials | undefined> {
  const { profile } = address
  if (profile !== undefined) return ofProfile(profile, environment)
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = environment
  if (accessKeyId && secretAccessKey)
    return { accessKeyId, secretAccessKey, sessionToken: AWS_SESSION_TOKEN || undefined }
  const own = await ofProfile(environment.AWS_PROFILE || 'default', environment)
  if (own !== undefined) return own
  const { metadataCredentials } = await import('./metadata-credentials.ts')
  return metadataCredentials(address, environment)
}

/** Loaded where variables say nothing: that takes longer than to ask a near store. */
async function ofProfile(name: string, environment: Environment): Promise<LentCredentials | undefined> {
  const { profileCredentials } = await import('./profile-credentials.ts')
  return profileCredentials(name, environment)
}

/** Before their end, so that none ends on its way. */
const EARLY_MS = 5 * 60_000

class FoundCredentials implements CredentialSource {
  readonly #find: () => Promise<LentCredentials | undefined>
  #found: Promise<LentCredentials | undefined> | undefined
  #renewMs = Number.POSITIVE_INFINITY

  constructor(find: () => Promise<LentCredentials | undefined>) {
    this.#find = find
  }

  get(signal?: AbortSignal): Promise<S3Credentials | undefined> {
    if (Date.now() >= this.#renewMs) this.renew()
    this.#found ??= this.#ask()
    return abortable(this.#found, signal)
  }

  renew(): void {
    this.#found = undefined
    this.#renewMs = Number.POSITIVE_INFINITY
  }

  async #ask(): Promise<LentCredentials | undefined> {
    try {
      const found = await this.#find()
      this.#renewMs = (found?.expiresMs ?? Number.POSITIVE_INFINITY) - EARLY_MS
      return found
    } catch (error) {
      // Whoever asks next looks again.
      this.renew()
      throw error
    }
  }
}
