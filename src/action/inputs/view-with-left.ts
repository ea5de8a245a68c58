import { constants, lstatSync, realpathSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { systemCode } from '../../errors.ts'
import { type FileView, filesOnDisk, type SeenEntry, type SeenStats } from './file-view.ts'
import { resolveInside } from './input-link.ts'
import { parentOf } from './listed-paths.ts'

/** What a restore would put at a root-relative path. */
export type LeftEntry =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly digest: Digest; readonly isExecutable: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

/** It cannot be told from here what would be seen if all were there. */
export class Unsure extends Error {}

/**
 * A workspace as it would be with files in it that were left elsewhere. Where they would lie nothing may stand, and the folders
 * around them, as far as there are any, are reached through no links. Whatever it cannot tell is thrown as {@link Unsure}.
 */
export class ViewWithLeft implements FileView {
  readonly #root: string
  readonly #disk: FileView
  readonly #left = new Map<string, LeftStats>()
  readonly #names = new Map<string, Map<string, SeenEntry>>()
  readonly #folded = new Map<string, string>()
  /** Of folders: by which path they are reached without links. */
  readonly #places = new Map<string, string | undefined>()

  /**
   * `root` is an absolute real path; what `isReplaced` is as if it were not there. Throws {@link Unsure} where two entries would
   * be in each other's way.
   */
  constructor(root: string, entries: Iterable<LeftEntry>, isReplaced?: (path: string) => boolean) {
    this.#root = root
    const disk = filesOnDisk(root.endsWith('/') ? root : `${root}/`)
    this.#disk = isReplaced === undefined ? disk : without(disk, isReplaced)
    for (const entry of entries) this.#add(entry)
  }

  lstat(path: string): SeenStats | undefined {
    const known = this.#left.get(path) ?? this.#onDisk(path)
    if (known !== undefined || path === '') return known
    if (this.#folded.has(fold(path))) throw new Unsure(`${path} may be the same as ${this.#folded.get(fold(path))}`)
    const folder = parentOf(path)
    const place = this.#placeOf(folder)
    if (place === undefined || place === folder) return undefined
    return this.lstat(joined(place, path.slice(folder.length + 1)))
  }

  readdir(folder: string): readonly SeenEntry[] {
    const place = this.#placeOf(folder)
    const left = place === undefined ? undefined : this.#names.get(place)
    if (place === undefined || left === undefined) return this.#disk.readdir(folder)
    if (!this.#onDisk(place)?.isDirectory()) return [...left.values()]
    const others = this.#disk.readdir(place).filter((entry) => {
      const same = left.get(entry.name)
      if (same === undefined) return true
      if (!same.isDirectory() || !entry.isDirectory()) throw new Unsure(`${joined(place, entry.name)} stands there`)
      return false
    })
    return [...left.values(), ...others]
  }

  readlink(path: string): string {
    return this.#left.get(path)?.target ?? this.#disk.readlink(path)
  }

  /**
   * Throws where something would be found at an absolute path, which need not lie in the root, that is not found there now.
   * What is there now is there in any case.
   */
  expectNothingAt(absolute: string): void {
    const names: string[] = []
    for (let folder = absolute; ; folder = dirname(folder)) {
      const real = realOrUndefined(folder)
      if (real !== undefined && !this.#mayHold(real, names)) return
      if (real !== undefined || dirname(folder) === folder) throw new Unsure(`something may come to be at ${absolute}`)
      names.unshift(basename(folder))
    }
  }

  /** The first of `names`, if there are any, cannot be followed from a real folder. */
  #mayHold(real: string, names: readonly string[]): boolean {
    if (names.length === 0) return false
    // A link that leads nowhere may lead somewhere then.
    if (isLink(join(real, names[0] as string))) return true
    const place = relative(this.#root, join(real, ...names))
    return !isOutside(place) && this.lstat(sep === '/' ? place : place.replaceAll(sep, '/')) !== undefined
  }

  #add(entry: LeftEntry): void {
    const { path } = entry
    const known = this.#left.get(path)
    const stats = new LeftStats(entry)
    if (known !== undefined) {
      if (known.isDirectory() && stats.isDirectory()) return
      throw new Unsure(`${path} is left twice`)
    }
    const folded = fold(path)
    if (this.#folded.has(folded)) throw new Unsure(`${path} and ${this.#folded.get(folded)} may be the same`)
    this.#folded.set(folded, path)
    this.#left.set(path, stats)
    const folder = parentOf(path)
    const names = this.#names.get(folder) ?? new Map<string, SeenEntry>()
    if (names.size === 0) this.#names.set(folder, names)
    const name = path.slice(path.lastIndexOf('/') + 1)
    names.set(name, stats.named(name))
    if (folder !== '') this.#add({ kind: 'directory', path: folder })
  }

  /** By which path a folder is reached without links; undefined where there is none, or none in the root. */
  #placeOf(folder: string): string | undefined {
    if (folder === '' || this.#left.get(folder)?.isDirectory()) return folder
    if (!this.#places.has(folder)) this.#places.set(folder, this.#findPlace(folder))
    return this.#places.get(folder)
  }

  #findPlace(folder: string): string | undefined {
    const resolution = resolveInside(this, folder)
    if (resolution.kind === 'found') return resolution.path
    if (resolution.kind === 'dangling' && resolution.path === undefined)
      throw new Unsure(`${folder} is a loop of links`)
    if (resolution.kind === 'dangling') return undefined
    // It leads out of the root, and by that way perhaps into it again.
    const real = realOrUndefined(`${this.#root}/${folder}`)
    if (real !== undefined && isOutside(relative(this.#root, real))) return undefined
    throw new Unsure(`${folder} leaves the root`)
  }

  #onDisk(path: string): SeenStats | undefined {
    try {
      return this.#disk.lstat(path)
    } catch (error) {
      // Below a file there is nothing.
      if (systemCode(error) === 'ENOTDIR') return undefined
      throw error
    }
  }
}

function without(files: FileView, isReplaced: (path: string) => boolean): FileView {
  return {
    lstat: (path) => (isReplaced(path) ? undefined : files.lstat(path)),
    readdir: (folder) => files.readdir(folder).filter(({ name }) => !isReplaced(joined(folder, name))),
    readlink: (path) => files.readlink(path),
  }
}

/** Equal to no identity that was taken of a file. */
class LeftStats implements SeenStats {
  readonly mtimeMs: number = Number.NaN
  readonly ctimeMs: number = Number.NaN
  readonly ino: number = 0
  readonly size: number
  readonly mode: number
  readonly hash?: string
  readonly target: string | undefined

  constructor(entry: LeftEntry) {
    this.size = entry.kind === 'file' ? entry.digest.sizeBytes : 0
    this.mode = modeOf(entry)
    this.target = entry.kind === 'link' ? entry.target : undefined
    if (entry.kind === 'file') this.hash = entry.digest.hash
  }

  named(name: string): SeenEntry {
    return { name, isDirectory: () => this.isDirectory(), isSymbolicLink: () => this.isSymbolicLink() }
  }

  isFile(): boolean {
    return (this.mode & constants.S_IFMT) === constants.S_IFREG
  }

  isDirectory(): boolean {
    return (this.mode & constants.S_IFMT) === constants.S_IFDIR
  }

  isSymbolicLink(): boolean {
    return (this.mode & constants.S_IFMT) === constants.S_IFLNK
  }

  isFIFO(): boolean {
    return false
  }

  isSocket(): boolean {
    return false
  }
}

function modeOf(entry: LeftEntry): number {
  if (entry.kind === 'directory') return constants.S_IFDIR | 0o755
  if (entry.kind === 'link') return constants.S_IFLNK | 0o777
  return constants.S_IFREG | (entry.isExecutable ? 0o755 : 0o644)
}

/** File systems that fold names take those for the same that are alike so. */
function fold(path: string): string {
  return path.normalize('NFC').toLowerCase()
}

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`
}

function realOrUndefined(path: string): string | undefined {
  try {
    return realpathSync.native(path)
  } catch {
    return undefined
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
  } catch (error) {
    return systemCode(error) !== 'ENOTDIR'
  }
}

/** Of a path relative to the root. */
function isOutside(path: string): boolean {
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path)
}
