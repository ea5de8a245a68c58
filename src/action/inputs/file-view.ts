import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import type { StatIdentity } from '../../digest/stat-identity.ts'

/** What a listing asks of a path. */
export interface SeenStats
  extends StatIdentity,
    Pick<Stats, 'isFile' | 'isDirectory' | 'isSymbolicLink' | 'isFIFO' | 'isSocket'> {
  /** SHA-256 in hex of a file's content, where that is known and the file itself is not there. */
  readonly hash?: string
}

export type SeenEntry = Pick<Dirent, 'name' | 'isDirectory' | 'isSymbolicLink'>

/** The files of a root as a listing sees them, by root-relative paths. What the system refuses is thrown as it comes. */
export interface FileView {
  /** What is at a path; its last name is not followed. */
  lstat(path: string): SeenStats | undefined
  readdir(folder: string): readonly SeenEntry[]
  readlink(path: string): string
}

/** What is there. `base` is the root with a slash at its end. */
export function filesOnDisk(base: string): FileView {
  return {
    lstat: (path) => lstatSync(base + path, QUIET),
    readdir: (folder) => readdirSync(base + folder, { withFileTypes: true }),
    readlink: (path) => readlinkSync(base + path),
  }
}

const QUIET = { throwIfNoEntry: false } as const
