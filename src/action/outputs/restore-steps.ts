import { chmodSync, mkdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { type StatIdentity, sameIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { CacheError, systemCode } from '../../errors.ts'
import { lookAt } from './restore-look.ts'
import type { Step } from './restore-record.ts'
import { moveToTrash } from './trash.ts'

const TYPE = 0o170000
const DIRECTORY = 0o040000

/** What the steps of a restore could not do as they were planned. */
export interface StepOutcome {
  /** Something else was there by then; it was left as it was. */
  readonly skipped: readonly string[]
}

/**
 * Takes the steps one after the other. Each first looks whether the thing is still what it was when the step was planned,
 * and leaves alone what is not. A step that was taken before is known by its effect, so that a list of them can be taken
 * again after a crash. System errors come as `restore.failed`.
 */
export function takeSteps(root: string, steps: readonly Step[]): StepOutcome {
  const skipped: string[] = []
  const taken: Taken = { folders: new Set(), links: new Set() }
  const arrived = new Set(steps.flatMap((step) => (step.kind === 'move' && !exists(step.from) ? [step.path] : [])))
  for (const step of steps) {
    // What was in the way has gone already, or nothing could have come to its place.
    if ((step.kind === 'remove' || step.kind === 'trash') && arrived.has(step.path)) continue
    try {
      if (!take(root, step, taken)) skipped.push(step.path)
    } catch (error) {
      if (error instanceof CacheError) throw error
      throw new CacheError('restore.failed', `"${step.path}" could not be restored (${systemCode(error)}).`, {
        hint: 'recue completes the restore when it runs here again.',
        cause: error,
        context: { path: step.path },
      })
    }
  }
  return { skipped }
}

/** What earlier steps did that later ones have to know. */
interface Taken {
  /** Made, or seen to be there. */
  readonly folders: Set<string>
  /** Inodes of files with several names, one of which a step took away: that changes the ctime of the others. */
  readonly links: Set<number>
}

function take(root: string, step: Step, taken: Taken): boolean {
  const path = `${root}/${step.path}`
  if (step.kind === 'rmdir') return removeEmpty(path)
  if (step.kind === 'move') return move(path, step, taken)
  const stats = lookAt(path)
  if (stats === undefined) return true
  const now = statIdentity(stats)
  if (step.kind === 'chmod') {
    if (isSameButMode(now, step.before)) chmodSync(path, step.mode)
    return isSameButMode(now, step.before)
  }
  if (!isStill(now, step.before, taken)) return step.kind === 'trash' && exists(step.to)
  if (stats.nlink > 1) taken.links.add(stats.ino)
  if (step.kind === 'remove') unlinkSync(path)
  else moveToTrash(path, step.to)
  return true
}

/** What is in its place by now is replaced only if it is what was to be. */
function move(path: string, { from, before }: Step & { kind: 'move' }, taken: Taken): boolean {
  const present = lookAt(path)
  const now = present && statIdentity(present)
  const isReplaceable = now === undefined || (before !== undefined && isStill(now, before, taken))
  // Gone from the staging folder, it was moved, unless what it should have replaced is still there.
  if (!exists(from)) return !isReplaceable
  if (!isReplaceable) return false
  const folder = dirname(path)
  if (!taken.folders.has(folder)) {
    mkdirSync(folder, { recursive: true })
    taken.folders.add(folder)
  }
  if (present !== undefined && present.nlink > 1) taken.links.add(present.ino)
  renameSync(from, path)
  return true
}

function removeEmpty(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return true
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR') return false
    throw error
  }
}

/** A folder changes by what is taken out of it before, so only which one it is counts. */
function isStill(now: StatIdentity, before: StatIdentity, { links }: Taken): boolean {
  if ((before.mode & TYPE) === DIRECTORY) return now.ino === before.ino && (now.mode & TYPE) === DIRECTORY
  return sameIdentity(now, links.has(now.ino) ? { ...before, ctimeMs: now.ctimeMs } : before)
}

function isSameButMode(now: StatIdentity, before: StatIdentity): boolean {
  return now.ino === before.ino && now.size === before.size && now.mtimeMs === before.mtimeMs
}

function exists(path: string): boolean {
  return lookAt(path) !== undefined
}
