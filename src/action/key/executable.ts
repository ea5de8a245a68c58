import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { CacheError, systemCode } from '../../errors.ts'
import type { Witness } from '../witness.ts'

/** A program as the system would find it. */
export interface Executable {
  /** Absolute, links not resolved: a program may look at the name it was called by. */
  readonly path: string
  /** Of the file that the path leads to. */
  readonly stats: Stats
}

export interface SearchPlace {
  /** The command's working directory, absolute. */
  readonly cwd: string
  readonly searchPath: string | undefined
  readonly extensions?: string | undefined
  /** Told of each absolute path where it was looked for in vain; may throw. */
  readonly missed?: (path: string) => void
  readonly witness?: Witness | undefined
}

/**
 * What `name` stands for: a path when it has a slash, else the first program of that name on `searchPath`. Throws
 * `command.not-found`, or `command.not-executable` where something of that name is there.
 */
export function findExecutable(name: string, place: SearchPlace): Executable {
  const isPath = name.includes('/') || (process.platform === 'win32' && name.includes('\\'))
  const folders = isPath ? [''] : (place.searchPath ?? '').split(delimiter)
  let inTheWay: Obstacle | undefined
  for (const folder of name === '' ? [] : folders) {
    const base = isPath
      ? resolve(place.cwd, name)
      : join(isAbsolute(folder) ? folder : resolve(place.cwd, folder), name)
    for (const extension of extensionsOf(place.extensions)) {
      const found = look(base + extension, place.witness)
      if (found === undefined) {
        place.missed?.(base + extension)
        continue
      }
      if ('stats' in found) return found
      inTheWay ??= found
    }
  }
  if (inTheWay !== undefined)
    throw new CacheError('command.not-executable', `${inTheWay.path} cannot be executed: ${inTheWay.why}.`, {
      hint: inTheWay.hint,
      context: { program: name },
    })
  throw new CacheError('command.not-found', `The command ${JSON.stringify(name)} was not found.`, {
    hint: isPath ? `Paths are relative to ${place.cwd}.` : 'It is in no folder of PATH.',
    context: { program: name },
  })
}

function extensionsOf(pathext: string | undefined): readonly string[] {
  return process.platform === 'win32' ? ['', ...(pathext ?? '.COM;.EXE;.BAT;.CMD').split(';')] : ['']
}

interface Obstacle {
  readonly path: string
  readonly why: string
  readonly hint: string
}

function look(path: string, witness: Witness | undefined): Executable | Obstacle | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false })
    witness?.saw(path, stats, true)
    if (stats === undefined) return undefined
    if (stats.isDirectory()) return { path, why: 'it is a folder', hint: 'Name a program in it.' }
    if (!stats.isFile()) return { path, why: 'it is not a regular file', hint: 'Name a program.' }
    accessSync(path, constants.X_OK)
    return { path, stats }
  } catch (error) {
    const code = systemCode(error)
    witness?.saw(path, undefined, true)
    if (code === 'EACCES') return { path, why: 'permission is denied', hint: `Try: chmod +x ${path}` }
    if (code === 'ELOOP') return { path, why: 'its links form a loop', hint: 'Repair the link.' }
    // ENAMETOOLONG, ENOTDIR: nothing of that name can be there.
    return undefined
  }
}
