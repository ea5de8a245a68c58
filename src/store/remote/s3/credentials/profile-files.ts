import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import type { Environment } from '../s3-address.ts'

export type Settings = ReadonlyMap<string, string>

/**
 * What `~/.aws/config` and `~/.aws/credentials`, or the files that variables name instead, say of a profile: nothing where there is none.
 * What both say is as the latter says it.
 */
export async function profileFiles({
  HOME,
  AWS_CONFIG_FILE,
  AWS_SHARED_CREDENTIALS_FILE,
}: Environment): Promise<(name: string) => Settings> {
  const folder = path.join(HOME || homedir(), '.aws')
  const [config, credentials] = await Promise.all([
    contentOf(AWS_CONFIG_FILE || path.join(folder, 'config')),
    contentOf(AWS_SHARED_CREDENTIALS_FILE || path.join(folder, 'credentials')),
  ])
  return (name) =>
    new Map([...settingsIn(config, name), ...settingsIn(config, `profile ${name}`), ...settingsIn(credentials, name)])
}

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
