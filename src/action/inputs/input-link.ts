import { isAbsolute } from 'node:path'
import type { FileView, SeenStats } from './file-view.ts'

/** A symlink met on the way to a path: itself reached through no link, relative to the root. */
export interface CrossedLink {
  readonly path: string
  readonly text: string
  readonly stats: SeenStats
}

/** Where a path leads, and the links that it takes to get there. All paths are relative to the root. */
export type Resolution =
  | { readonly kind: 'found'; readonly path: string; readonly stats: SeenStats; readonly links: readonly CrossedLink[] }
  /** Nothing is there, or a loop of links; `path` is the first that is missing, undefined for a loop. */
  | { readonly kind: 'dangling'; readonly path: string | undefined; readonly links: readonly CrossedLink[] }
  /** The last of `links` is absolute, leads out of the root, or into `.git`. */
  | { readonly kind: 'leaves'; readonly links: readonly CrossedLink[] }

/** More than the kernel follows. */
const MAX_LINKS = 40

/** Follows a path name by name, without ever looking outside the root. */
export function resolveInside(files: FileView, path: string): Resolution {
  const pending = path.split('/').reverse()
  const real: string[] = []
  const links: CrossedLink[] = []
  let stats = files.lstat('') as SeenStats
  while (pending.length > 0) {
    const name = pending.pop() as string
    if (name === '' || name === '.') continue
    if (name === '..') {
      if (real.pop() === undefined) return { kind: 'leaves', links }
      stats = files.lstat(real.join('/')) as SeenStats
      continue
    }
    if (isGitName(name)) return { kind: 'leaves', links }
    const here = [...real, name].join('/')
    const found = stats.isDirectory() ? files.lstat(here) : undefined
    if (found === undefined) return { kind: 'dangling', path: here, links }
    if (found.isSymbolicLink()) {
      const text = files.readlink(here)
      links.push({ path: here, text, stats: found })
      if (isAbsolute(text)) return { kind: 'leaves', links }
      if (links.length > MAX_LINKS) return { kind: 'dangling', path: undefined, links }
      pending.push(...text.split('/').reverse())
    } else {
      real.push(name)
      stats = found
    }
  }
  return { kind: 'found', path: real.join('/'), stats, links }
}

/** What git keeps of its own is never an input; on file systems that ignore case, however it is written. */
export function isGitName(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === '.git'
}
