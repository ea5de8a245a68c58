import { lstatSync, readdirSync } from 'node:fs'
import type { Workspace } from '../workspace.ts'

const SPECIAL = /[*?[{]|[@!+]\(/

/** Whether an output is a pattern; a backslash takes a character's meaning away (`pages/\[id\].js`). */
export function isGlob(pattern: string): boolean {
  return SPECIAL.test(pattern.replace(/\\./g, ''))
}

/** The folder that all matches lie in, without a trailing slash; empty for where the pattern starts. */
export function globBase(pattern: string): string {
  const segments = pattern.split('/')
  const first = segments.findIndex(isGlob)
  return segments.slice(0, first < 0 ? -1 : first).join('/')
}

/** Tests root-relative paths; names that begin with a dot match like others. Loads the matcher, so ask only with globs. */
export async function globMatcher(patterns: readonly string[]): Promise<(path: string) => boolean> {
  const { default: picomatch } = await import('picomatch')
  return picomatch([...patterns], { dot: true })
}

/**
 * The files, links and special files on disk that one of the globs matches, sorted; never anything in `.git` or the
 * cache folder, and in `node_modules` only for a pattern that names it. Links to folders are matched, not followed.
 */
export async function expandGlobs(
  { root, cacheDir }: Pick<Workspace, 'root' | 'cacheDir'>,
  patterns: readonly string[],
): Promise<string[]> {
  const found = new Set<string>()
  for (const pattern of patterns) {
    const matches = await globMatcher([pattern])
    const skips = (name: string, path: string) =>
      name.toLowerCase() === '.git' ||
      `${root}/${path}` === cacheDir ||
      (name === 'node_modules' && !pattern.includes('node_modules'))
    for (const path of filesIn(root, globBase(pattern), skips)) if (matches(path)) found.add(path)
  }
  return [...found].sort()
}

/** Everything in a folder that is not a folder, by root-relative path; a folder that cannot be listed is as an empty one. */
export function* filesIn(
  root: string,
  folder: string,
  skips: (name: string, path: string) => boolean,
): Generator<string> {
  const pending = [folder]
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    for (const entry of list(root, current)) {
      const path = current === '' ? entry.name : `${current}/${entry.name}`
      if (skips(entry.name, path)) continue
      if (entry.isDirectory()) pending.push(path)
      else yield path
    }
  }
}

function list(root: string, folder: string) {
  try {
    const path = `${root}/${folder}`
    if (folder !== '' && !lstatSync(path).isDirectory()) return []
    return readdirSync(path, { withFileTypes: true })
  } catch {
    return []
  }
}
