import { readdirSync } from 'node:fs'
import { statIdentity } from '../../digest/stat-identity.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { type Foreign, foreignAt } from './clean-foreign.ts'
import { trackedIn } from './git-tracked.ts'
import { lookAt } from './restore-look.ts'
import { objectionToPlace } from './restore-objections.ts'
import type { Step } from './restore-record.ts'
import { takeSteps } from './restore-steps.ts'
import { type Mounts, readMounts } from './staging-mounts.ts'
import { openVouchers, recordName, type Vouchers } from './workspace-record.ts'

/** What came of a clean start. */
export interface Cleaned {
  /** Root-relative files and links that recue had captured or restored there, unchanged since; sorted. */
  readonly deleted: readonly string[]
  /** What is in the outputs still: no record vouches for it, or git tracks it. Sorted by path. */
  readonly foreign: readonly Foreign[]
}

/**
 * Takes from the literal outputs what an earlier run left there, so that it does not become part of the next result: what
 * this workspace's record vouches for and git does not track. Everything else stays exactly as it is and is named. What
 * globs match is never touched, nor is an output that is on another file system or no place for one any more.
 */
export async function clean(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  signal?: AbortSignal,
): Promise<Cleaned> {
  const { root } = workspace
  const mounts = readMounts()
  const sorting = new Sorting({ root, mounts, vouchers: openVouchers(workspace, recordName(workspace, outputs)) })
  for (const { kind, path } of outputs) {
    if (kind !== 'path') continue
    if (objectionToPlace(workspace, path, mounts) === undefined) sorting.sort(path)
    else sorting.leave(path)
  }
  const own = sorting.own
  const ownPaths = own.map(({ path }) => path)
  const tracked = await trackedIn(root, outputs, ownPaths, signal)
  const removals = own.filter(({ path }) => !tracked.has(path))
  const skipped = new Set(takeSteps(root, [...removals, ...sorting.rmdirs]).skipped)
  const deleted = removals.map(({ path }) => path).filter((path) => !skipped.has(path))
  const gone = new Set(deleted)
  const stayed = [...sorting.left, ...ownPaths.filter((path) => !gone.has(path))]
  return { deleted: deleted.sort(), foreign: foreignAt(root, stayed) }
}

interface Grounds {
  readonly root: string
  readonly mounts: Mounts
  readonly vouchers: Vouchers
}

/** Tells what is recue's own from what is not. Changes nothing. */
class Sorting {
  readonly #grounds: Grounds
  readonly own: (Step & { kind: 'remove' })[] = []
  /** Folders of the record, each behind those in it. They go only when nothing is in them. */
  readonly rmdirs: Step[] = []
  readonly left: string[] = []

  constructor(grounds: Grounds) {
    this.#grounds = grounds
  }

  sort(path: string): void {
    const { root, vouchers } = this.#grounds
    const stats = lookAt(`${root}/${path}`)
    if (stats === undefined) return
    const identity = statIdentity(stats)
    if (stats.isDirectory()) this.#sortFolder(path)
    else if (vouchers.vouchesFor(path, identity)) this.own.push({ kind: 'remove', path, before: identity })
    else this.left.push(path)
  }

  /** All that is there is somebody else's. */
  leave(path: string): void {
    const stats = lookAt(`${this.#grounds.root}/${path}`)
    if (stats === undefined) return
    const names = stats.isDirectory() ? readdirSync(`${this.#grounds.root}/${path}`) : []
    for (const name of names) this.leave(`${path}/${name}`)
    if (names.length === 0) this.left.push(path)
  }

  #sortFolder(path: string): void {
    const { root, mounts, vouchers } = this.#grounds
    const absolute = `${root}/${path}`
    if (mounts.mountedWithin(absolute) !== undefined || !mounts.share(root, absolute)) {
      this.leave(path)
      return
    }
    const names = readdirSync(absolute)
    for (const name of names) this.sort(`${path}/${name}`)
    if (vouchers.vouchesForDirectory(path)) this.rmdirs.push({ kind: 'rmdir', path })
    else if (names.length === 0) this.left.push(path)
  }
}
