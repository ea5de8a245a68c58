import { dirname } from 'node:path'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import type { Workspace } from '../workspace.ts'
import { globMatcher } from './output-globs.ts'
import { objectionTo, resolvedParent } from './output-places.ts'
import { lookAt } from './restore-look.ts'
import type { ResultEntry } from './result-tree.ts'
import type { Mounts } from './staging-mounts.ts'

/**
 * Why a result may not be put into the workspace, or undefined. A result may come from another machine, and the workspace
 * may have changed since the outputs were declared: nothing goes anywhere but to a declared output that is still a place
 * for one.
 */
export async function objectionToResult(
  workspace: Workspace,
  outputs: readonly OutputDeclaration[],
  entries: readonly ResultEntry[],
  mounts: Mounts,
): Promise<string | undefined> {
  const literals = new Set(outputs.filter(({ kind }) => kind === 'path').map(({ path }) => path))
  const globs = outputs.filter(({ kind }) => kind === 'glob').map(({ path }) => path)
  const others = topsOf(entries).filter(({ path }) => !literals.has(path))
  const matches = others.length > 0 && globs.length > 0 ? await globMatcher(globs) : () => false
  const undeclared = others.find(({ kind, path }) => kind === 'directory' || !matches(path))
  if (undeclared !== undefined) return `the kept result has "${undeclared.path}", which is no declared output`

  const soundFolders = new Set<string>()
  for (const { path } of topsOf(entries)) {
    const folder = dirname(path)
    // Of what globs match only the folders are looked at, each once: there may be thousands.
    if (!literals.has(path) && soundFolders.has(folder)) continue
    const objection = objectionToPlace(workspace, path, mounts)
    if (objection !== undefined) return `the output "${path}" ${objection}`
    soundFolders.add(folder)
  }
  return undefined
}

/** Why nothing may be put at or taken from there. */
export function objectionToPlace(workspace: Workspace, path: string, mounts: Mounts): string | undefined {
  const { root, workingDirectory = '', home, cacheDir } = workspace
  const absolute = `${root}/${path}`
  const objection = objectionTo(absolute, { root, workingDirectory, home, cacheDir })
  if (objection !== undefined) return objection
  const real = resolvedParent(absolute)
  if (mounts.mountedWithin(real) !== undefined) return 'has a file system mounted in it'
  if (!mounts.share(root, dirname(real))) return 'is on another file system than the root'
  const present = lookAt(real)
  if (present?.isDirectory() && !mounts.share(root, real)) return 'has a file system mounted in it'
  return parentIsFolder(real) ? undefined : 'lies in something that is no folder'
}

/** The nearest folder on the way that exists at all is one. */
function parentIsFolder(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const present = lookAt(folder)
    if (present !== undefined) return present.isDirectory()
    if (dirname(folder) === folder) return false
  }
}

/** The outputs themselves, without what is in them. */
function topsOf(entries: readonly ResultEntry[]): ResultEntry[] {
  const tops: ResultEntry[] = []
  let folder: string | undefined
  for (const entry of entries) {
    if (folder !== undefined && entry.path.startsWith(folder)) continue
    tops.push(entry)
    folder = entry.kind === 'directory' ? `${entry.path}/` : undefined
  }
  return tops
}
