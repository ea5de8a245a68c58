import { readdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { systemCode } from '../../errors.ts'

/** Everything in the folder but its tag, the signing key included. */
export function clearLegacyCache(dir: string): void {
  for (const name of readdirSync(dir))
    if (name !== 'CACHEDIR.TAG') rmSync(path.join(dir, name), { recursive: true, force: true })
}

/** Entries, manifests and what unfinished writes left, and locks, last changed before `beforeMs`. Locks are not counted. */
export function cleanLegacyCache(dir: string, beforeMs: number): { removed: number; bytes: number } {
  const hashes = removeOld(path.join(dir, 'hashes'), beforeMs, '')
  const tasks = removeOld(path.join(dir, 'tasks'), beforeMs, '')
  removeOld(path.join(dir, 'locks'), beforeMs, '.lock')
  return { removed: hashes.removed + tasks.removed, bytes: hashes.bytes + tasks.bytes }
}

function removeOld(folder: string, beforeMs: number, ending: string): { removed: number; bytes: number } {
  let removed = 0
  let bytes = 0
  for (const name of namesIn(folder)) {
    const file = path.join(folder, name)
    const stats = statSync(file, { throwIfNoEntry: false })
    if (!name.endsWith(ending) || !stats?.isFile() || stats.mtimeMs >= beforeMs) continue
    rmSync(file, { force: true })
    removed++
    bytes += stats.size
  }
  return { removed, bytes }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}
