import { lstatSync, readFileSync, realpathSync, type Stats } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { CacheError, systemCode } from '../errors.ts'
import type { Witness } from './witness.ts'

/** In the order in which one folder is searched; a `recue` key in package.json comes last. */
export const CONFIG_NAMES: readonly string[] = ['recue.config.ts', 'recue.config.mjs', 'recue.config.json']

export interface Place {
  /** Absolute real path of the folder that everything in a key is relative to. */
  readonly root: string
  /** Relative to the root, `/` between names; empty for the root itself. */
  readonly workingDirectory: string
  /** Absolute path of the nearest config, which may be a package.json with a `recue` key. */
  readonly configFile: string | undefined
}

/**
 * The root is what was asked for; else the folder of the nearest recue config; else git's top level; else the folder of the
 * nearest package.json; else the working directory. Throws `usage` for a root or directory that is not there, and
 * `input.outside-root` for a working directory outside the root.
 */
export function findRoot(
  cwd: string,
  options: { readonly root?: string; readonly witness?: Witness | undefined } = {},
): Place {
  const start = realDirectory(cwd, 'working directory')
  const found = searchUpwards(start, options.witness)
  const root =
    options.root === undefined
      ? (found.config ?? found.repository ?? found.package ?? start)
      : realDirectory(resolve(cwd, options.root), 'root')
  return { root, workingDirectory: within(root, start), configFile: found.configFile }
}

function realDirectory(path: string, role: string): string {
  try {
    const real = realpathSync(path)
    if (lstatSync(real).isDirectory()) return real
  } catch (cause) {
    throw new CacheError('usage', `The ${role} ${path} cannot be used: ${systemCode(cause) ?? 'unknown error'}.`, {
      cause,
    })
  }
  throw new CacheError('usage', `The ${role} ${path} is not a folder.`)
}

interface Landmarks {
  config: string | undefined
  configFile: string | undefined
  repository: string | undefined
  package: string | undefined
}

/** Everything above the nearest config is looked at by nobody, so the search ends there. */
function searchUpwards(start: string, witness: Witness | undefined): Landmarks {
  const found: Landmarks = { config: undefined, configFile: undefined, repository: undefined, package: undefined }
  const exists = (path: string): boolean => {
    const stats = lookAt(path)
    witness?.saw(path, stats, false)
    return stats !== undefined
  }
  for (let folder = start; ; folder = dirname(folder)) {
    const hasPackage = exists(join(folder, 'package.json'))
    found.configFile = configIn(folder, hasPackage, exists)
    if (found.configFile !== undefined) {
      found.config = folder
      return found
    }
    if (hasPackage) found.package ??= folder
    if (exists(join(folder, '.git'))) found.repository ??= folder
    if (dirname(folder) === folder) return found
  }
}

function configIn(folder: string, hasPackage: boolean, exists: (path: string) => boolean): string | undefined {
  for (const name of CONFIG_NAMES) if (exists(join(folder, name))) return join(folder, name)
  const manifest = join(folder, 'package.json')
  return hasPackage && hasRecueKey(manifest) ? manifest : undefined
}

/** Most have no such key, and the word tells without parsing. A broken package.json is not recue's to complain about. */
function hasRecueKey(path: string): boolean {
  try {
    const text = readFileSync(path, 'utf8')
    if (!text.includes('"recue"')) return false
    const manifest: unknown = JSON.parse(text)
    return typeof manifest === 'object' && manifest !== null && Object.hasOwn(manifest, 'recue')
  } catch {
    return false
  }
}

function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

function within(root: string, folder: string): string {
  const path = relative(root, folder)
  if (path === '..' || path.startsWith(`..${sep}`) || resolve(root, path) !== folder)
    throw new CacheError('input.outside-root', `The working directory ${folder} is not inside the root ${root}.`, {
      hint: 'Give a --root that contains it, or start from inside the root.',
    })
  return sep === '/' ? path : path.replaceAll(sep, '/')
}
