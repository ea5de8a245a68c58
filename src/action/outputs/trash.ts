import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { sameIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { CacheError, systemCode } from '../../errors.ts'
import { contentHash } from './workspace-record.ts'

/** A name for one clean-up's folder in the trash: when, and something of its own. */
export function trashFolder(trashDir: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[:.]/g, '-')
  return `${trashDir}/${time}-${Math.random().toString(36).slice(2, 8)}`
}

/**
 * Moves a file, link or folder into the trash. Across file systems it is copied, the copy compared, and only then is the
 * original removed; where something in it can be no copy (a pipe) or changes meanwhile, it stays, and this throws
 * `restore.failed`.
 */
export function moveToTrash(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
  if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) throw stuck(from, 'its place in the trash is taken')
  try {
    renameSync(from, to)
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw stuck(from, 'it cannot be moved', error)
    copyTree(from, to)
    removeCopied(from, to)
  }
}

function copyTree(from: string, to: string): void {
  const stats = lstatSync(from)
  if (stats.isSymbolicLink()) symlinkSync(readlinkSync(from), to)
  else if (stats.isDirectory()) {
    mkdirSync(to, { mode: 0o700 })
    for (const name of readdirSync(from)) copyTree(`${from}/${name}`, `${to}/${name}`)
  } else if (stats.isFile()) {
    copyFileSync(from, to, constants.COPYFILE_EXCL)
    chmodSync(to, stats.mode & 0o777)
    const identity = statIdentity(stats)
    const isSame = contentHash(to, identity) === contentHash(from, identity)
    if (!isSame || !sameIdentity(identity, statIdentity(lstatSync(from)))) throw stuck(from, 'it changed meanwhile')
  } else throw stuck(from, 'it is neither a file, a folder nor a symlink')
}

/** Only what is in the copy as well: what came in meanwhile makes the folder stay. */
function removeCopied(from: string, to: string): void {
  const stats = lstatSync(from)
  if (!stats.isDirectory()) {
    const identity = statIdentity(stats)
    if (contentHash(from, identity) !== contentHash(to, identity)) throw stuck(from, 'it changed meanwhile')
    unlinkSync(from)
    return
  }
  for (const name of readdirSync(to)) removeCopied(`${from}/${name}`, `${to}/${name}`)
  try {
    rmdirSync(from)
  } catch (error) {
    throw stuck(from, 'it changed meanwhile', error)
  }
}

function stuck(path: string, reason: string, cause?: unknown): CacheError {
  return new CacheError('restore.failed', `"${path}" is in the way and could not be moved to the trash: ${reason}.`, {
    hint: 'Move it away yourself.',
    cause,
    context: { path },
  })
}
