import { CacheError } from '../../../../errors.ts'
import type { S3Access, S3Address } from '../s3-address.ts'
import { KeptCredentials } from './kept-credentials.ts'
import type { LentCredentials } from './lent-credentials.ts'

/**
 * Those that were given; else, as Amazon's own tools look: the profile that is named, AWS_ACCESS_KEY_ID and its like, a role by web
 * identity, AWS_PROFILE or the default profile, and what lends credentials to a container or a machine. Asking throws `remote.denied`
 * where there are none, or what is to give them does not, and `remote.unreachable` where that cannot be asked.
 */
export function credentialSource(
  address: S3Address,
  { credentials, environment = process.env }: S3Access,
): KeptCredentials {
  return new KeptCredentials(async () => {
    if (credentials === 'none') return undefined
    const found = credentials ?? (await foundCredentials(address, environment))
    if (found !== undefined) return found
    throw new CacheError('remote.denied', `No credentials for ${address.place} are known here.`, {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile: AWS_PROFILE, or ?profile=NAME in its address.',
      context: { server: address.place },
    })
  })
}

type Environment = Required<S3Access>['environment']

/** Each kind is loaded where it is needed: that takes longer than to ask a near store. */
async function foundCredentials(address: S3Address, environment: Environment): Promise<LentCredentials | undefined> {
  const profiles = () => import('./profile-credentials.ts')
  const site = { environment, region: environment.AWS_REGION || environment.AWS_DEFAULT_REGION || address.region }
  if (address.profile !== undefined) return (await profiles()).profileCredentials(address.profile, site)
  const own = variablesCredentials(environment)
  if (own !== undefined) return own
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: arn, AWS_ROLE_SESSION_NAME: sessionName } = environment
  if (tokenFile && arn) {
    const { webIdentityCredentials } = await import('./role-credentials.ts')
    return webIdentityCredentials({ arn, sessionName }, tokenFile, site)
  }
  const profiled = await (await profiles()).profileCredentials(environment.AWS_PROFILE || 'default', site)
  if (profiled !== undefined) return profiled
  const { containerCredentials } = await import('./container-credentials.ts')
  const container = await containerCredentials(environment)
  if (container !== undefined || !isAmazons(address)) return container
  const { machineCredentials } = await import('./machine-credentials.ts')
  return machineCredentials(environment)
}

function variablesCredentials({
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
  AWS_SESSION_TOKEN: sessionToken,
}: Environment): LentCredentials | undefined {
  return accessKeyId && secretAccessKey
    ? { accessKeyId, secretAccessKey, sessionToken: sessionToken || undefined }
    : undefined
}

/** A machine elsewhere has no such service; asking for one takes a second. */
function isAmazons({ url }: S3Address): boolean {
  return /\.amazonaws\.com(\.cn)?$/.test(url.hostname)
}
