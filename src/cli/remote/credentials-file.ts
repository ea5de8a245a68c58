import { randomUUID } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import { userConfigFile } from '../config/load-user.ts'

/** What `recue login` was given for one server. Nothing: it is used, and shown nothing. */
export interface Credentials {
  readonly token?: string
  /** A program that is asked for headers: an absolute path, or a name that PATH knows. */
  readonly helper?: string
  /** Files in PEM, absolute. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** Beside the user's config, for nobody else to read. */
export function credentialsFile(environment: Readonly<Record<string, string | undefined>>): string {
  return join(dirname(userConfigFile(environment)), 'credentials.json')
}

/** By origin, as `originOf` writes it. Throws `config.invalid` for a file that others may read or write, or that is none of ours. */
export function readCredentials(file: string): ReadonlyMap<string, Credentials> {
  const text = textOf(file)
  if (text === undefined) return new Map()
  try {
    return new Map(
      Object.entries(JSON.parse(text) as Record<string, unknown>).map(([origin, of]) => [origin, checked(of)]),
    )
  } catch {
    throw new CacheError('config.invalid', `${file} is not as recue login writes it.`, {
      hint: 'Delete it, and log in again: recue login ADDRESS',
    })
  }
}

/** Atomic. `undefined` forgets the server. */
export function saveCredentials(file: string, origin: string, credentials: Credentials | undefined): void {
  const all = new Map(readCredentials(file))
  if (credentials === undefined) all.delete(origin)
  else all.set(origin, credentials)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const next = `${file}.${randomUUID()}`
  try {
    const handle = openSync(next, 'wx', 0o600)
    try {
      writeSync(handle, `${JSON.stringify(Object.fromEntries(all), undefined, 2)}\n`)
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
    renameSync(next, file)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
}

/** Undefined where there is no such file. The file that is looked at is the one that is read. */
function textOf(file: string): string | undefined {
  let handle: number
  try {
    handle = openSync(file, 'r')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new CacheError('config.invalid', `${file} cannot be read: ${(error as Error).message}.`, { cause: error })
  }
  try {
    refuseShared(file, handle)
    return readFileSync(handle, 'utf8')
  } finally {
    closeSync(handle)
  }
}

function refuseShared(file: string, handle: number): void {
  if (process.platform === 'win32') return
  const { mode, uid } = fstatSync(handle)
  const own = process.geteuid?.()
  const isOurs = uid === own || own === 0
  if (isOurs && (mode & 0o077) === 0) return
  const why = isOurs ? `may be read by others (mode ${(mode & 0o777).toString(8)})` : `belongs to another user (${uid})`
  throw new CacheError('config.invalid', `${file} ${why}: nothing of it is used.`, {
    hint: isOurs ? `Keep it to yourself: chmod 600 ${file}` : 'Delete it, and log in again: recue login ADDRESS',
  })
}

const PARTS = ['token', 'helper', 'ca', 'cert', 'key'] as const

function checked(value: unknown): Credentials {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object')
  const said = value as Readonly<Record<string, unknown>>
  const texts = PARTS.filter((part) => said[part] !== undefined).map((part) => [part, said[part]] as const)
  if (texts.some(([, text]) => typeof text !== 'string')) throw new TypeError('not a text')
  return Object.fromEntries(texts) as Credentials
}
