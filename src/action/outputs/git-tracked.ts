import { existsSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import type { OutputDeclaration } from '../key/keyed-action.ts'
import { resolvedParent } from './output-places.ts'

/** What git knows of files; paths are relative to the workspace's root. */
export interface Tracked {
  /** In git's index, or in a submodule. */
  has(path: string): boolean
  /** Tracked, and its present content is what the last commit has. */
  isCommitted(path: string): boolean
  /** Something at or below this path is tracked. */
  hasWithin(path: string): boolean
}

const NONE: Tracked = { has: () => false, isCommitted: () => false, hasWithin: () => false }
/** More paths than this might not fit on a command line: then git is asked about the whole root. */
const MOST_PATHS = 200
/** Paths of a million files. */
const MAX_BUFFER = 256 << 20

/**
 * What git says of the things in question, by their paths in the workspace: those that lie in a declared folder or file
 * are asked about with it. A folder on the way that is a link is followed first, since git knows files by where they are.
 */
export async function trackedIn(
  root: string,
  outputs: readonly OutputDeclaration[],
  questions: readonly string[],
  signal?: AbortSignal,
): Promise<Tracked> {
  if (questions.length === 0) return NONE
  const literals = outputs.filter(({ kind }) => kind === 'path').map(({ path }) => path)
  const isIn = (path: string, literal: string) => path === literal || path.startsWith(`${literal}/`)
  const places = new Set(questions.map((path) => literals.find((literal) => isIn(path, literal)) ?? path))
  const real = (path: string) => relative(root, resolvedParent(`${root}/${path}`))
  const tracked = await gitTracked(root, [...places].map(real), signal)
  if (tracked === NONE) return NONE
  return {
    has: (path) => tracked.has(real(path)),
    isCommitted: (path) => tracked.isCommitted(real(path)),
    hasWithin: (path) => tracked.hasWithin(real(path)),
  }
}

/**
 * Asks git about what lies at or below `paths`. Without a repository, or without git, nothing is tracked: such files are
 * then moved to the trash where tracked ones would have stayed, and lost in neither case.
 */
export async function gitTracked(root: string, paths: readonly string[], signal?: AbortSignal): Promise<Tracked> {
  if (!isInRepository(root)) return NONE
  const places = paths.length > MOST_PATHS ? ['.'] : paths
  const git = (...args: string[]) => runGit(root, [...args, '--', ...places], signal)
  const listed = await git('ls-files', '-z', '-v')
  if (listed === undefined || listed.length === 0) return NONE
  // Without a commit, nothing is committed.
  const differing = await git('diff', '--no-ext-diff', '--no-renames', '--relative', '--name-only', '-z', 'HEAD')
  return trackedFrom(listed, differing)
}

function trackedFrom(listed: readonly string[], differing: readonly string[] | undefined): Tracked {
  // `H` is a plain entry; the other letters (skip-worktree, assume-unchanged) keep git from looking at the file.
  const plain = new Map(listed.map((line) => [line.slice(2), line.startsWith('H')]))
  const changed = new Set(differing)
  const folders = new Set<string>()
  for (const path of plain.keys()) for (const folder of foldersOf(path)) folders.add(folder)
  const inSubmodule = (path: string) => foldersOf(path).some((folder) => plain.has(folder))
  const has = (path: string) => plain.has(path) || inSubmodule(path)
  return {
    has,
    isCommitted: (path) => differing !== undefined && plain.get(path) === true && !changed.has(path),
    hasWithin: (path) => has(path) || folders.has(path),
  }
}

function foldersOf(path: string): string[] {
  const folders: string[] = []
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) folders.push(path.slice(0, end))
  return folders
}

/**
 * Undefined where git fails. The checkout may be hostile: no hooks, no monitor program, no lock files, and no variable
 * that names another repository.
 */
async function runGit(root: string, args: readonly string[], signal?: AbortSignal): Promise<string[] | undefined> {
  const { execFile } = process.getBuiltinModule('node:child_process')
  const { promisify } = process.getBuiltinModule('node:util')
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')))
  const options = ['--literal-pathspecs', '--no-optional-locks', '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=']
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', root, ...options, ...args], {
      env: { ...env, LC_ALL: 'C' },
      maxBuffer: MAX_BUFFER,
      ...(signal === undefined ? {} : { signal }),
    })
    return stdout.split('\0').filter((line) => line !== '')
  } catch {
    signal?.throwIfAborted()
    return undefined
  }
}

function isInRepository(root: string): boolean {
  for (let folder = root; ; folder = dirname(folder)) {
    if (existsSync(`${folder}/.git`)) return true
    if (dirname(folder) === folder) return false
  }
}
