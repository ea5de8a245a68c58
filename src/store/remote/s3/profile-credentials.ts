import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { CacheError } from '../../../errors.ts'
import type { LentCredentials } from './credential-source.ts'
import { lentIn } from './lent-credentials.ts'
import type { Environment } from './s3-address.ts'

type Settings = ReadonlyMap<string, string>

/**
 * What a profile of `~/.aws/credentials` and `~/.aws/config` says: keys, or a program (`credential_process`) that gives them. Undefined
 * where there is no such profile, or none that is understood. Throws `remote.denied` where the program gives none.
 */
export async function profileCredentials(name: string, environment: Environment): Promise<LentCredentials | undefined> {
  const home = environment.HOME || homedir()
  const files = [
    [environment.AWS_SHARED_CREDENTIALS_FILE || path.join(home, '.aws', 'credentials'), [name]],
    [environment.AWS_CONFIG_FILE || path.join(home, '.aws', 'config'), [`profile ${name}`, name]],
  ] as const
  for (const [file, sections] of files) {
    const text = await contentOf(file)
    for (const section of sections) {
      const found = await credentialsIn(settingsIn(text, section), environment)
      if (found !== undefined) return found
    }
  }
  return undefined
}

async function credentialsIn(settings: Settings, environment: Environment): Promise<LentCredentials | undefined> {
  const accessKeyId = settings.get('aws_access_key_id')
  const secretAccessKey = settings.get('aws_secret_access_key')
  if (accessKeyId && secretAccessKey)
    return { accessKeyId, secretAccessKey, sessionToken: settings.get('aws_session_token') }
  const program = settings.get('credential_process')
  return program === undefined ? undefined : lentBy(program, environment)
}

async function lentBy(program: string, environment: Environment): Promise<LentCredentials> {
  try {
    const options = { env: { ...environment }, timeout: PROGRAM_MS }
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', program], options)
    const lent = lentIn(stdout)
    if (lent !== undefined) return lent
  } catch {
    // What it printed, and how it was called, may be secret.
  }
  throw new CacheError('remote.denied', 'The credential_process of the profile gave no credentials.', {
    hint: 'Run it by itself: it has to print JSON with AccessKeyId and SecretAccessKey.',
  })
}

/** Some ask a person, in a browser. */
const PROGRAM_MS = 60_000

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    // Not there, or not for us: as if it said nothing.
    return ''
  }
}

/** Of one section of such a file; lines that belong to a setting above them are indented. */
function settingsIn(text: string, section: string): Settings {
  const settings = new Map<string, string>()
  let isWanted = false
  for (const line of text.split(/\r?\n/)) {
    const [, name] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? []
    if (name !== undefined) isWanted = name.replace(/\s+/g, ' ').replaceAll('"', '') === section
    const [, key, value] = /^([\w-]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (isWanted && key !== undefined && value !== undefined) settings.set(key, value)
  }
  return settings
}
