import { existsSync, realpathSync } from 'node:fs'
import { dirname, relative, resolve, sep } from 'node:path'

/** Where outputs are declared: absolute paths, but for the working directory, which is relative to the root. */
export interface OutputPlace {
  readonly root: string
  readonly workingDirectory: string
  readonly home: string
  readonly cacheDir: string
}

const FOLDS_CASE = process.platform === 'darwin' || process.platform === 'win32'

/**
 * Why a folder or file may not be an output, or undefined. `absolute` is judged as it is written and as it resolves; its
 * own last name is not followed, since a link that is an output is itself the output.
 */
export function objectionTo(absolute: string, place: OutputPlace): string | undefined {
  const real = resolvedParent(absolute)
  if (!isWithin(real, realOf(place.root))) {
    return isWithin(absolute, place.root) ? 'leads out of the root through a symlink' : 'is outside of the root'
  }
  return objectionByName(absolute, place) ?? objectionByName(real, place)
}

function objectionByName(path: string, place: OutputPlace): string | undefined {
  const protectedPlaces = [
    { name: 'the root', at: place.root },
    { name: 'the working directory', at: resolve(place.root, place.workingDirectory) },
    { name: 'the cache folder', at: place.cacheDir },
    { name: 'your home folder', at: place.home },
  ]
  for (const { name, at } of protectedPlaces) {
    if (at === '') continue
    for (const spelling of new Set([resolve(at), realOf(resolve(at))])) {
      if (fold(spelling) === fold(path)) return `is ${name}`
      if (isWithin(spelling, path)) return `contains ${name}`
    }
  }
  if (isWithin(path, place.cacheDir) || isWithin(path, realOf(place.cacheDir))) return 'is in the cache folder'
  if (namesGit(relative(place.root, path)) || namesGit(relative(realOf(place.root), path))) return 'is in .git'
  if (existsSync(`${path}/.git`)) return 'contains .git'
  return undefined
}

/** True also for the folder itself. */
export function isWithin(path: string, folder: string): boolean {
  const p = fold(path)
  const f = fold(folder)
  return p === f || p.startsWith(f.endsWith(sep) ? f : f + sep)
}

/** Whether a name on the way is `.git`, in any case: some file systems do not tell. */
export function namesGit(path: string): boolean {
  return /(^|[\\/])\.git([\\/]|$)/i.test(path)
}

/** `path` with its parent as the file system resolves it, as far as that exists; its own last name is not followed. */
export function resolvedParent(path: string): string {
  const parent = dirname(path)
  if (parent === path) return path
  return resolve(realOf(parent), path.slice(parent.endsWith(sep) ? parent.length : parent.length + 1))
}

/** As the file system resolves it; what does not exist is appended to what does. */
export function realOf(path: string): string {
  try {
    return realpathSync.native(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : resolve(realOf(parent), path.slice(parent.length).replace(/^[\\/]/, ''))
  }
}

function fold(path: string): string {
  return FOLDS_CASE ? path.toLowerCase() : path
}
