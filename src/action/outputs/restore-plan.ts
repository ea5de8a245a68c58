import { lstatSync, readdirSync } from 'node:fs'
import { statIdentity } from '../../digest/stat-identity.ts'
import type { Tracked } from './git-tracked.ts'
import type { Leftovers } from './leftovers.ts'
import type { Comparison, Present } from './restore-compare.ts'
import type { Step } from './restore-record.ts'
import type { Part } from './staging.ts'
import type { Mounts } from './staging-mounts.ts'
import type { Vouchers } from './workspace-record.ts'

export type Plan =
  | {
      readonly kind: 'plan'
      /** What has to go before parts can come, in order; moves are not among them. */
      readonly clearing: readonly Step[]
      readonly parts: readonly Part[]
      /** Root-relative paths that the clearing moves to the trash. */
      readonly trashed: readonly string[]
      /** Stale, and not recue's to touch. */
      readonly left: readonly string[]
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** What decides about a thing that is in the way. */
export interface Grounds {
  readonly root: string
  readonly vouchers: Vouchers
  readonly leftovers: Leftovers
  readonly tracked: Tracked
  readonly mounts: Mounts
  /** Absolute folder in the trash for whatever this plan moves there. */
  readonly trash: string
}

/** Decides what may be deleted, what goes to the trash, what stays, and whether the restore can be done at all. */
export function planRestore(grounds: Grounds, comparison: Comparison): Plan {
  const clearing = new Clearing(grounds)
  const displaced = new Set<string>()
  for (const present of comparison.overwritten) {
    const verdict = verdictOnOverwrite(grounds, present)
    if (verdict === 'refuse') return refusal(present.path)
    if (verdict === 'trash') {
      clearing.trash(present)
      displaced.add(present.path)
    }
  }
  for (const present of comparison.obstacles) {
    clearing.clear(present)
    if (clearing.left.length > 0) return refusal(clearing.left[0] as string)
  }
  for (const present of comparison.stale) clearing.clear(present)
  return {
    kind: 'plan',
    clearing: clearing.steps(),
    parts: comparison.parts.map((part) => (displaced.has(part.path) ? { ...part, before: undefined } : part)),
    trashed: clearing.trashed,
    left: clearing.left,
  }
}

/** Steps that take things out of the way; a thing that must not be touched is added to `left`. */
export class Clearing {
  readonly #grounds: Grounds
  readonly #removals: Step[] = []
  readonly #trashes: (Step & { kind: 'trash' })[] = []
  readonly #rmdirs: Step[] = []
  readonly left: string[] = []

  constructor(grounds: Grounds) {
    this.#grounds = grounds
  }

  /** Folders last: what recue recorded goes from them first, what is left of an unknown one is moved as a whole. */
  steps(): Step[] {
    return [...this.#removals, ...this.#trashes, ...this.#rmdirs]
  }

  get trashed(): string[] {
    return this.#trashes.map(({ path }) => path)
  }

  get removed(): string[] {
    return this.#removals.map(({ path }) => path)
  }

  clear(present: Present): void {
    const { path, identity } = present
    const { vouchers, tracked } = this.#grounds
    if ((identity.mode & 0o170000) === 0o040000) this.#clearFolder(present)
    else if (tracked.has(path)) this.left.push(path)
    else if (vouchers.vouchesFor(path, identity)) this.#removals.push({ kind: 'remove', path, before: identity })
    else this.trash(present)
  }

  trash({ path, identity }: Present): void {
    this.#trashes.push({ kind: 'trash', path, before: identity, to: `${this.#grounds.trash}/${path}` })
  }

  #clearFolder(present: Present): void {
    const { root, vouchers, tracked, mounts } = this.#grounds
    const { path } = present
    if (mounts.mountedWithin(`${root}/${path}`) !== undefined || !mounts.share(root, `${root}/${path}`)) {
      this.left.push(path)
      return
    }
    if (!vouchers.knowsFolder(path) && !tracked.hasWithin(path)) {
      this.trash(present)
      return
    }
    const leftBefore = this.left.length
    const names = readdirSync(`${root}/${path}`)
    for (const name of names) {
      const inner = `${path}/${name}`
      this.clear({ path: inner, identity: statIdentity(lstatSync(`${root}/${inner}`)) })
    }
    if (this.left.length > leftBefore) return
    // An empty folder is something of the user's; one that was emptied lives on in the trash with what was in it.
    if (names.length === 0 && !vouchers.vouchesForDirectory(path)) this.trash(present)
    else this.#rmdirs.push({ kind: 'rmdir', path })
  }
}

function verdictOnOverwrite(
  { vouchers, leftovers, tracked }: Grounds,
  { path, identity }: Present,
): 'replace' | 'trash' | 'refuse' {
  if (vouchers.vouchesFor(path, identity)) return 'replace'
  // What a run that was not kept left where the result has a file is the same command's work.
  if (!tracked.has(path)) return leftovers.has(path, identity) ? 'replace' : 'trash'
  return tracked.isCommitted(path) ? 'replace' : 'refuse'
}

function refusal(path: string): Plan {
  return {
    kind: 'refused',
    reason: `"${path}" is in the way of an output, and it is git's or not recue's to touch`,
  }
}
