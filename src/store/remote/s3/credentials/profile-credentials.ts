import { CacheError } from '../../../../errors.ts'
import { containerCredentials } from './container-credentials.ts'
import { credentialsOfProgram } from './credential-program.ts'
import type { LentCredentials } from './lent-credentials.ts'
import { machineCredentials } from './machine-credentials.ts'
import { profileFiles, type Settings } from './profile-files.ts'
import { assumedCredentials, type Site, webIdentityCredentials } from './role-credentials.ts'

/**
 * What a profile has: a role and whose credentials may play it, keys, or a program (`credential_process`) that gives them. Undefined where
 * there is no such profile, or it has none of these. Throws `remote.denied` where what it names gives none, or is not known here.
 */
export async function profileCredentials(name: string, site: Site): Promise<LentCredentials | undefined> {
  const settingsOf = await profileFiles(site.environment)
  return new Profiles(settingsOf, site).credentials(name, [])
}

class Profiles {
  readonly #settingsOf: (name: string) => Settings
  readonly #site: Site

  constructor(settingsOf: (name: string) => Settings, site: Site) {
    this.#settingsOf = settingsOf
    this.#site = site
  }

  /** `users`: the profiles whose roles are played by this one's credentials. */
  async credentials(name: string, users: readonly string[]): Promise<LentCredentials | undefined> {
    const settings = this.#settingsOf(name)
    const keys = keysIn(settings)
    // A profile may play its role by its own keys.
    if (users.includes(name)) {
      if (keys !== undefined) return keys
      throw odd(name, 'its source_profile leads back to it', 'Name one that has keys.')
    }
    const role = settings.get('role_arn')
    if (role) return this.#inRole(name, role, settings, users)
    if (keys !== undefined) return keys
    const program = settings.get('credential_process')
    if (program) return credentialsOfProgram(program, this.#site.environment)
    const signIn = SIGN_INS.find((setting) => settings.has(setting))
    if (signIn !== undefined) throw odd(name, `${signIn} is not supported here`, exported(name))
    return undefined
  }

  async #inRole(
    name: string,
    arn: string,
    settings: Settings,
    users: readonly string[],
  ): Promise<LentCredentials | undefined> {
    const site = { ...this.#site, region: settings.get('region') || this.#site.region }
    const role = {
      arn,
      sessionName: settings.get('role_session_name'),
      externalId: settings.get('external_id'),
      durationSeconds: settings.get('duration_seconds'),
    }
    const tokenFile = settings.get('web_identity_token_file')
    if (tokenFile) return webIdentityCredentials(role, tokenFile, site)
    if (settings.has('mfa_serial')) throw odd(name, 'mfa_serial is not supported here', exported(name))
    const own = await this.#sourceOf(name, settings, users)
    if (own !== undefined) return assumedCredentials(role, own, site)
    throw odd(name, 'nothing has credentials to play its role_arn', 'Has it a source_profile that has keys?')
  }

  async #sourceOf(name: string, settings: Settings, users: readonly string[]): Promise<LentCredentials | undefined> {
    const { environment } = this.#site
    const profile = settings.get('source_profile')
    if (profile) return this.credentials(profile, [...users, name])
    switch (settings.get('credential_source')) {
      case 'Environment':
        return keysIn(new Map(Object.entries(environment).map(([key, value]) => [key.toLowerCase(), value ?? ''])))
      case 'EcsContainer':
        return containerCredentials(environment)
      case 'Ec2InstanceMetadata':
        return machineCredentials(environment)
      default:
        return undefined
    }
  }
}

/** They ask a person, and keep what came of it where only Amazon's own tools know. */
const SIGN_INS = ['sso_session', 'sso_start_url', 'login_session']

function keysIn(settings: Settings): LentCredentials | undefined {
  const accessKeyId = settings.get('aws_access_key_id')
  const secretAccessKey = settings.get('aws_secret_access_key')
  if (!accessKeyId || !secretAccessKey) return undefined
  return { accessKeyId, secretAccessKey, sessionToken: settings.get('aws_session_token') || undefined }
}

function odd(name: string, why: string, hint: string): CacheError {
  return new CacheError('remote.denied', `The profile "${name}" gives no credentials: ${why}.`, { hint })
}

function exported(name: string): string {
  return `Use another profile, with credential_process = aws configure export-credentials --profile ${name} --format process`
}
