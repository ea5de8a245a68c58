import { readdirSync } from 'node:fs'
import { statIdentity } from '../../digest/stat-identity.ts'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { type Aside, moveAside } from './clean-aside.ts'
import { type Foreign, foreignAt } from './clean-foreign.ts'
import { trackedIn } from './git-tracked.ts'
import { type Leftovers, openLeftovers } from './leftovers.ts'
import { lookAt } from './restore-look.ts'
import { objectionToPlace } from './restore-objections.ts'
import type { Step } from './restore-record.ts'
import { takeSteps } from './restore-steps.ts'
import { type Mounts, readMounts } from './staging-mounts.ts'
import { trashFolder } from './trash.ts'
import { openVouchers, recordName, type Vouchers } from './workspace-record.ts'

/** What came of a clean start. */
export interface Cleaned {
  /** Root-relative files and links that recue had captured or restored there, unchanged since; sorted. */
  readonly deleted: readonly string[]
  /** Made by runs that were not kept, and unchanged since: moved to the trash. */
  readonly aside: readonly Aside[]
  /** What is in the outputs still: no record vouches for it, or git tracks it. Sorted by path. */
  readonly foreign: readonly Foreign[]
}

/**
 * Takes from the literal outputs what an earlier run left there, so that it does not become part of the next result: what
 * this workspace's record vouches for and git does not track. What a run that was not kept left there goes to the trash.
 * Everything else stays exactly as it is and is named. What globs match is never touched, nor is an output that is on
 * another file system or no place for one any more.
 */
export async function clean(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  signal?: AbortSignal,
): Promise<Cleaned> {
  const { root } = workspace
  const mounts = readMounts()
  const vouchers = openVouchers(workspace, recordName(workspace, outputs))
  const sorting = new Sorting({ root, mounts, vouchers, leftovers: openLeftovers(workspace) })
  for (const { kind, path } of outputs) {
    if (kind !== 'path') continue
    if (objectionToPlace(workspace, path, mounts) === undefined) sorting.sort(path)
    else sorting.leave(path)
  }
  const going = [...sorting.own, ...sorting.leftover].map(({ path }) => path)
  const tracked = await trackedIn(root, outputs, going, signal)
  const isFree = ({ path }: Pick<Step, 'path'>) => !tracked.has(path)
  const removals = sorting.own.filter(isFree)
  takeSteps(root, removals)
  const trash = trashFolder(workspace.trashDir, Date.now())
  const moves = sorting.leftover.filter(isFree)
  const aside = moveAside(
    root,
    moves.map((step) => ({ ...step, kind: 'trash', to: `${trash}/${step.path}` })),
  )
  takeSteps(root, sorting.rmdirs)
  const foreign = foreignAt(root, [...sorting.left, ...going])
  const stayed = new Set(foreign.map(({ path }) => path))
  const deleted = removals.map(({ path }) => path).filter((path) => !stayed.has(path))
  return { deleted: deleted.sort(), aside, foreign }
}

interface Grounds {
  readonly root: string
  readonly mounts: Mounts
  readonly vouchers: Vouchers
  readonly leftovers: Leftovers
}

/** Tells what is recue's own from what is not. Changes nothing. */
class Sorting {
  readonly #grounds: Grounds
  readonly own: (Step & { kind: 'remove' })[] = []
  readonly leftover: Pick<Step & { kind: 'trash' }, 'path' | 'before'>[] = []
  /** Folders of the records, each behind those in it. They go only when nothing is in them. */
  readonly rmdirs: Step[] = []
  readonly left: string[] = []

  constructor(grounds: Grounds) {
    this.#grounds = grounds
  }

  sort(path: string): void {
    const { root, vouchers, leftovers } = this.#grounds
    const stats = lookAt(`${root}/${path}`)
    if (stats === undefined) return
    const identity = statIdentity(stats)
    if (stats.isDirectory()) this.#sortFolder(path)
    else if (vouchers.vouchesFor(path, identity)) this.own.push({ kind: 'remove', path, before: identity })
    else if (leftovers.has(path, identity)) this.leftover.push({ path, before: identity })
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
    const { root, mounts, vouchers, leftovers } = this.#grounds
    const absolute = `${root}/${path}`
    if (mounts.mountedWithin(absolute) !== undefined || !mounts.share(root, absolute)) {
      this.leave(path)
      return
    }
    const names = readdirSync(absolute)
    for (const name of names) this.sort(`${path}/${name}`)
    if (vouchers.vouchesForDirectory(path) || leftovers.hasFolder(path)) this.rmdirs.push({ kind: 'rmdir', path })
    else if (names.length === 0) this.left.push(path)
  }
}
