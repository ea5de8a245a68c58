import { readFileSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Witness } from '../../action/witness.ts'
import { CacheError, systemCode } from '../../errors.ts'
import { SETTINGS } from '../settings.ts'
import type { ConfigDocument } from './project.ts'

/** The user's own config, for all projects: `config.json` in the folder that the platform has for such files. */
export function userConfigFile(environment: Readonly<Record<string, string | undefined>>): string {
  const { XDG_CONFIG_HOME, APPDATA } = environment
  if (XDG_CONFIG_HOME !== undefined && XDG_CONFIG_HOME !== '') return join(XDG_CONFIG_HOME, 'recue', 'config.json')
  const home = environment.HOME || process.getBuiltinModule('node:os').homedir()
  if (process.platform === 'darwin') return join(home, 'Library', 'Application Support', 'recue', 'config.json')
  if (process.platform === 'win32') return join(APPDATA ?? join(home, 'AppData', 'Roaming'), 'recue', 'config.json')
  return join(home, '.config', 'recue', 'config.json')
}

/** Undefined where there is none. Throws `config.invalid` with line and column. */
export async function loadUserConfig(file: string, witness?: Witness): Promise<ConfigDocument | undefined> {
  witness?.saw(file, statOf(file), true)
  const text = readIfAny(file)
  if (text === undefined) return undefined
  const plain = plainlyRight(text)
  if (plain !== undefined) return plain
  const { readJsonConfig } = await import('./read-json.ts')
  return readJsonConfig({ file, name: file, kind: 'user', under: undefined })
}

function statOf(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function readIfAny(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new CacheError('config.invalid', `${file} cannot be read: ${(error as Error).message}.`, { cause: error })
  }
}

/**
 * It is read at every run, and loading the schema takes longer than a hit: strict JSON whose settings are flags, choices
 * and plain texts needs no more than this. Anything else is left to the schema, which also finds the words for it.
 */
function plainlyRight(text: string): ConfigDocument | undefined {
  try {
    const document = JSON.parse(text) as ConfigDocument
    if (typeof document !== 'object' || document === null || Array.isArray(document)) return undefined
    return Object.entries(document).every(([key, value]) => isPlain(key, value)) ? document : undefined
  } catch {
    return undefined
  }
}

function isPlain(key: string, value: unknown): boolean {
  const spec = SETTINGS.get(key)?.spec
  if (spec?.kind === 'flag') return typeof value === 'boolean'
  if (spec?.kind === 'choice') return typeof value === 'string' && (spec.choices?.includes(value) ?? false)
  if (spec?.kind === 'list')
    return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
  if (spec?.kind === 'size') return typeof value === 'string' && /^\d+(\.\d+)? ?[kMGT]i?B$/.test(value)
  if (spec?.kind === 'duration') return typeof value === 'string' && /^\d+(ms|s|m|h|d|w)$/.test(value)
  if (spec?.isMany && Array.isArray(value) && value.length > 0)
    return value.every((item) => isPlain(key, item) && !Array.isArray(item))
  return PLAIN_TEXTS.has(key) && typeof value === 'string' && value !== '' && (spec?.shape?.test(value) ?? true)
}

const PLAIN_TEXTS = new Set([
  ...['$schema', 'cacheDir', 'cache', 'remote'],
  ...['remoteTokenFile', 'remoteHelper', 'remoteCa', 'remoteCert', 'remoteKey'],
])
