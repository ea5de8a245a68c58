import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { systemCode } from '../../errors.ts'
import { type FileView, filesOnDisk, type SeenEntry, type SeenStats } from './file-view.ts'
import { shown, unreadable } from './input-listing-errors.ts'
import { Role } from './input-roles.ts'

export interface ListedPath {
  /** Root-relative; `.` for the root, and with `..` for what decides from above it. */
  readonly path: string
  /** Undefined: nothing is there, and if something comes, the inputs may be others. */
  readonly stats: SeenStats | undefined
  readonly role: number
  /** Of a symlink. */
  readonly text: string | undefined
}

/** What a listing has looked at so far, by root-relative path; a mistake of reading is thrown as `input.unreadable`. */
export class ListedPaths {
  /** The root, with a slash at its end. */
  readonly base: string
  readonly files: FileView
  /** What is in listed folders and is no input; folders end in a slash. */
  readonly unselected: Set<string> = new Set()
  readonly #paths = new Map<string, ListedPath>()
  #refusal: string | undefined

  constructor(root: string, files?: FileView) {
    this.base = root.endsWith('/') ? root : `${root}/`
    this.files = files ?? filesOnDisk(this.base)
  }

  /** Why there can be no key, in one line: the first reason that was found. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  refuse(reason: string): void {
    this.#refusal ??= reason
  }

  get(path: string): ListedPath | undefined {
    return this.#paths.get(path)
  }

  isInput(path: string): boolean {
    return ((this.#paths.get(path)?.role ?? 0) & Role.input) !== 0
  }

  add(path: string, stats: SeenStats | undefined, role: number, text?: string): void {
    const known = this.#paths.get(path)
    this.#paths.set(path, {
      path,
      stats: known?.stats ?? stats,
      role: (known?.role ?? 0) | role,
      text: known?.text ?? text,
    })
  }

  /** Takes note of a path on which the choice of inputs depends; true when something is there. */
  decides(path: string): boolean {
    const stats = this.lstat(path)
    // A folder's own time changes with each file in it; only whether it is there decides.
    if (stats === undefined || stats.isFile()) this.add(path, stats, Role.decides)
    return stats !== undefined
  }

  /** All paths, in no order. The identity of a listed folder says already that a name is still missing in it. */
  all(): ReadonlyMap<string, ListedPath> {
    for (const [path, { stats }] of this.#paths) {
      const parent = this.#paths.get(dirname(path))
      if (stats === undefined && parent !== undefined && (parent.role & Role.listed) !== 0) this.#paths.delete(path)
    }
    return this.#paths
  }

  lstat(path: string): SeenStats | undefined {
    try {
      return this.files.lstat(path)
    } catch (cause) {
      // Below a file there is nothing.
      if (systemCode(cause) === 'ENOTDIR') return undefined
      // It is the folder around it that cannot be searched.
      throw unreadable(parentOf(path) || '.', cause)
    }
  }

  read(folder: string): readonly SeenEntry[] {
    return this.orUnreadable(folder === '' ? '.' : folder, () => this.files.readdir(folder))
  }

  /** Decoding puts U+FFFD where bytes are not UTF-8, and different names may then look the same. */
  isUtf8(path: string): boolean {
    if (!path.includes('\uFFFD')) return true
    const folder = parentOf(path)
    const name = path.slice(folder === '' ? 0 : folder.length + 1)
    const wanted = Buffer.from(name)
    const isThere = readdirSync(this.base + folder, 'buffer').some((bytes) => wanted.equals(bytes))
    if (!isThere) this.refuse(`the name of the input ${shown(path)} is not UTF-8`)
    return isThere
  }

  orUnreadable<T>(path: string, act: () => T): T {
    try {
      return act()
    } catch (cause) {
      throw unreadable(path, cause)
    }
  }
}

/** The folder a root-relative path is in; empty for the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
