import { readdirSync, readlinkSync } from 'node:fs'
import { digestOfFile } from '../../digest/file-digest.ts'
import { type StatIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { lookAt } from './restore-look.ts'
import type { ResultEntry } from './result-tree.ts'
import type { Part } from './staging.ts'
import type { Vouchers } from './workspace-record.ts'

/** Something that is there already and is as the result has it. */
export interface Kept {
  readonly entry: ResultEntry
  readonly identity: StatIdentity
}

/** Something on disk that cannot stay as it is. */
export interface Present {
  readonly path: string
  readonly identity: StatIdentity
}

/** How the workspace differs from a result. Nothing was changed to find out. */
export interface Comparison {
  readonly kept: readonly Kept[]
  /** What is to be put there; `before` is the file or link that it may replace by a rename. */
  readonly parts: readonly Part[]
  /** Right content, wrong executable bit. */
  readonly chmods: readonly (Present & { readonly mode: number })[]
  /** Files and links that a part replaces. */
  readonly overwritten: readonly Present[]
  /** Where a part is to go, and something of another kind is. */
  readonly obstacles: readonly Present[]
  /** In an output directory, and not in the result. */
  readonly stale: readonly Present[]
}

/** `entries` as {@link flatResult} gives them: every folder right before all that is in it. */
export function compareWithDisk(
  root: string,
  entries: readonly ResultEntry[],
  vouchers: Vouchers,
  signal?: AbortSignal,
): Comparison {
  return new Comparer(root, entries, vouchers).compare(signal)
}

class Comparer {
  readonly #root: string
  readonly #entries: readonly ResultEntry[]
  readonly #vouchers: Vouchers
  readonly #names: ReadonlyMap<string, ReadonlySet<string>>
  readonly kept: Kept[] = []
  readonly parts: Part[] = []
  readonly chmods: (Present & { mode: number })[] = []
  readonly overwritten: Present[] = []
  readonly obstacles: Present[] = []
  readonly stale: Present[] = []

  constructor(root: string, entries: readonly ResultEntry[], vouchers: Vouchers) {
    this.#root = root
    this.#entries = entries
    this.#vouchers = vouchers
    this.#names = namesByFolder(entries)
  }

  compare(signal?: AbortSignal): Comparison {
    for (let i = 0; i < this.#entries.length; ) {
      if (i % 1024 === 0) signal?.throwIfAborted()
      i = this.#compareAt(i)
    }
    return this
  }

  /** The index of the next entry to look at: behind a folder that is missing as a whole, behind all that is in it. */
  #compareAt(i: number): number {
    const entry = this.#entries[i] as ResultEntry
    const stats = lookAt(`${this.#root}/${entry.path}`)
    if (entry.kind !== 'directory') {
      this.#compareLeaf(entry, stats)
      return i + 1
    }
    if (stats?.isDirectory()) {
      this.kept.push({ entry, identity: statIdentity(stats) })
      this.#findStale(entry.path)
      return i + 1
    }
    if (stats !== undefined) this.obstacles.push({ path: entry.path, identity: statIdentity(stats) })
    const end = endOf(this.#entries, i)
    this.parts.push({ path: entry.path, entries: this.#entries.slice(i, end), before: undefined })
    return end
  }

  #compareLeaf(entry: Exclude<ResultEntry, { kind: 'directory' }>, stats: ReturnType<typeof lookAt>): void {
    const { path } = entry
    const identity = stats && statIdentity(stats)
    if (stats === undefined || identity === undefined) {
      this.parts.push({ path, entries: [entry], before: undefined })
    } else if (this.#isSame(entry, stats, identity) && !(isWrongMode(entry, stats) && stats.nlink > 1)) {
      this.kept.push({ entry, identity })
      if (isWrongMode(entry, stats)) {
        this.chmods.push({ path, identity, mode: withExecutableBit(stats.mode, !isExecutable(stats)) })
      }
    } else if (stats.isFile() || stats.isSymbolicLink()) {
      this.overwritten.push({ path, identity })
      this.parts.push({ path, entries: [entry], before: identity })
    } else {
      this.obstacles.push({ path, identity })
      this.parts.push({ path, entries: [entry], before: undefined })
    }
  }

  #isSame(entry: ResultEntry, stats: NonNullable<ReturnType<typeof lookAt>>, identity: StatIdentity): boolean {
    const absolute = `${this.#root}/${entry.path}`
    if (entry.kind === 'link') return stats.isSymbolicLink() && readlinkSync(absolute) === entry.target
    if (entry.kind !== 'file' || !stats.isFile() || stats.size !== entry.digest.sizeBytes) return false
    return (this.#vouchers.hashOf(entry.path, identity) ?? hashNow(absolute)) === entry.digest.hash
  }

  #findStale(folder: string): void {
    const expected = this.#names.get(folder)
    for (const name of readdirSync(`${this.#root}/${folder}`)) {
      if (expected?.has(name)) continue
      const path = `${folder}/${name}`
      const stats = lookAt(`${this.#root}/${path}`)
      if (stats === undefined || this.#isOtherSpelling(folder, name, stats.ino, expected)) continue
      this.stale.push({ path, identity: statIdentity(stats) })
    }
  }

  /** Where the file system does not tell `A.js` from `a.js`, both names are the one file that the result has. */
  #isOtherSpelling(folder: string, name: string, ino: number, expected: ReadonlySet<string> | undefined): boolean {
    const folded = fold(name)
    for (const other of expected ?? []) {
      if (fold(other) === folded && lookAt(`${this.#root}/${folder}/${other}`)?.ino === ino) return true
    }
    return false
  }
}

/** The mode of a hard link is that of all others, too: where it is wrong, a file of its own is put there. */
function isWrongMode(entry: ResultEntry, stats: Pick<StatIdentity, 'mode'>): boolean {
  return entry.kind === 'file' && entry.isExecutable !== isExecutable(stats)
}

function isExecutable({ mode }: Pick<StatIdentity, 'mode'>): boolean {
  return (mode & 0o100) !== 0
}

function fold(name: string): string {
  return name.normalize('NFC').toLowerCase()
}

function namesByFolder(entries: readonly ResultEntry[]): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>()
  for (const { kind, path } of entries) {
    if (kind === 'directory') names.set(path, new Set())
    const cut = path.lastIndexOf('/')
    names.get(path.slice(0, cut))?.add(path.slice(cut + 1))
  }
  return names
}

function endOf(entries: readonly ResultEntry[], start: number): number {
  const prefix = `${entries[start]?.path}/`
  let end = start + 1
  while (entries[end]?.path.startsWith(prefix)) end++
  return end
}

/** A file that cannot be read cannot be shown to be right. */
function hashNow(absolute: string): string | undefined {
  try {
    return digestOfFile(absolute).digest.hash
  } catch {
    return undefined
  }
}

/** Executable for those who may read it, as `chmod +x` under a usual umask has it. */
function withExecutableBit(mode: number, isExecutable: boolean): number {
  return isExecutable ? (mode & 0o777) | ((mode & 0o444) >> 2) | 0o100 : mode & 0o666
}
