import { lstatSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { markOf, trackedFiles } from './git-index.ts'
import { type IgnoreRules, noIgnoreRules } from './gitignore.ts'

/** What git says of the files in a folder and below: the repository around the root, or one nested in it. */
export interface Repository {
  /** What a root-relative path starts with that lies in the nested repository; empty for the outer one. */
  readonly inside: string
  /** From the top folder to the root, with a trailing slash; empty unless the root is below the top. */
  readonly above: string
  /** Root-relative: files, and folders of submodules. */
  readonly tracked: ReadonlySet<string>
  /** Folders with something tracked below. */
  readonly trackedFolders: ReadonlySet<string>
  /** Root-relative path of the index that lists `tracked`; undefined without one. */
  readonly index: string | undefined
  /** Changes with what is tracked. */
  readonly mark: string
}

export const NO_REPOSITORY: Repository = {
  inside: '',
  above: '',
  tracked: new Set(),
  trackedFolders: new Set(),
  index: undefined,
  mark: '',
}

/** The path that a repository's ignore rules are matched against. */
export function pathInRepository(repository: Repository, path: string): string {
  return repository.inside === '' ? repository.above + path : path.slice(repository.inside.length)
}

/**
 * Opens the repository whose top folder is `top` (absolute). Undefined when its `.git` is not one of git's.
 */
export async function openRepository(root: string, top: string, signal?: AbortSignal): Promise<Repository | undefined> {
  const listed = await trackedFiles(join(top, '.git'), signal)
  if (listed === undefined) return undefined
  const inside = asPrefix(relative(root, top))
  const isOuter = inside === '' || inside.startsWith('../')
  const above = isOuter ? asPrefix(relative(top, root)) : ''
  const tracked = new Set<string>()
  for (const path of listed.paths) {
    if (!isOuter) tracked.add(inside + path)
    else if (path.startsWith(above)) tracked.add(path.slice(above.length))
  }
  return {
    inside: isOuter ? '' : inside,
    above,
    tracked,
    trackedFolders: foldersOf(tracked),
    index: slashed(relative(root, listed.indexFile)),
    mark: markOf(listed),
  }
}

/** The folder with the `.git` that the root belongs to, and the folders that were searched, from the root up; both absolute. */
export function findTop(root: string): { readonly top: string | undefined; readonly searched: readonly string[] } {
  const searched: string[] = []
  for (let folder = root; ; folder = dirname(folder)) {
    searched.push(folder)
    if (lstatSync(join(folder, '.git'), { throwIfNoEntry: false }) !== undefined) return { top: folder, searched }
    if (dirname(folder) === folder) return { top: undefined, searched }
  }
}

/** The text of a folder's `.gitignore`. As in git, a symlink is none. */
export function readIgnoreFile(folder: string): string | undefined {
  const path = join(folder, '.gitignore')
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() ? readFileSync(path, 'utf8') : undefined
}

/** The rules that hold in the root because of folders above it, for the outer repository. */
export function rulesFromAbove(root: string, repository: Repository): IgnoreRules {
  let rules = noIgnoreRules()
  const names = repository.above.split('/').slice(0, -1)
  const top = join(root, ...names.map(() => '..'))
  names.forEach((_, depth) => {
    const folder = names.slice(0, depth)
    rules = rules.with(folder.join('/'), readIgnoreFile(join(top, ...folder)) ?? '')
  })
  return rules
}

function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>()
  for (const path of paths)
    for (
      let end = path.lastIndexOf('/');
      end > 0 && !folders.has(path.slice(0, end));
      end = path.lastIndexOf('/', end - 1)
    )
      folders.add(path.slice(0, end))
  return folders
}

function asPrefix(path: string): string {
  return path === '' ? '' : `${slashed(path)}/`
}

function slashed(path: string): string {
  return sep === '/' ? path : path.replaceAll(sep, '/')
}
