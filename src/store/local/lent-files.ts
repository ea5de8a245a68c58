import {
  closeSync,
  fchmodSync,
  futimesSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'

/**
 * Files with the content of blobs, for tools that take a path instead of bytes and read it whenever they like: read-only, and
 * there until nobody has asked for them for days ({@link sweepLent}). A copy beside the store, never the blob itself.
 */
export interface LentFiles {
  /** The path of a file that was lent before and looks as it was made; undefined where there is none. */
  find(digest: Digest): string | undefined
  /** Begins a file. Throws the system's error where none can be made. */
  begin(): LentFile
}

/** A file in the making, seen by nobody until {@link LentFile.lend}. */
export interface LentFile {
  write(bytes: Uint8Array): void
  /** Its path, with exactly the content that `digest` names: else nothing is left of it, and `store.corrupt` is thrown. */
  lend(digest: Digest): string
  /** Gives it up, unless it was lent. */
  drop(): void
}

/** How coarsely it is known when a file was last asked for. */
const TOUCH_MS = 3_600_000
const MODE = 0o444

/** In `folder`, which is made when it is needed. */
export function lentFiles(folder: string): LentFiles {
  let made = 0
  return {
    find({ hash, sizeBytes }) {
      const path = `${folder}/${hash}`
      const stats = statSync(path, { throwIfNoEntry: false })
      if (stats === undefined || stats.size !== sizeBytes || !isSealed(stats, hash)) return undefined
      if (Math.abs(Date.now() - stats.atimeMs) > TOUCH_MS) touch(path, hash)
      return path
    },
    begin() {
      const path = `${folder}/making-${process.pid}-${Date.now().toString(36)}-${++made}`
      return new LentFileInMaking(folder, path, opened(folder, path))
    },
  }
}

class LentFileInMaking implements LentFile {
  readonly #folder: string
  readonly #path: string
  readonly #content = streamDigest()
  #file: number | undefined

  constructor(folder: string, path: string, file: number) {
    this.#folder = folder
    this.#path = path
    this.#file = file
  }

  write(bytes: Uint8Array): void {
    if (this.#file === undefined) throw new Error('the file is closed')
    this.#content.update(bytes)
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at)
  }

  lend({ hash, sizeBytes }: Digest): string {
    if (this.#file === undefined) throw new Error('the file is closed')
    const is = this.#content.digest()
    if (is.hash !== hash || is.sizeBytes !== sizeBytes) {
      this.drop()
      throw new CacheError('store.corrupt', `What came for ${hash} (${sizeBytes} bytes) has other content.`)
    }
    try {
      fchmodSync(this.#file, MODE)
      futimesSync(this.#file, Date.now() / 1000, sealOf(hash))
      closeSync(this.#file)
      this.#file = undefined
      renameSync(this.#path, `${this.#folder}/${hash}`)
    } catch (error) {
      this.drop()
      throw error
    }
    return `${this.#folder}/${hash}`
  }

  drop(): void {
    if (this.#file === undefined) return
    closeSync(this.#file)
    this.#file = undefined
    rmSync(this.#path, { force: true })
  }
}

function opened(folder: string, path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    return openSync(path, 'wx', 0o600)
  }
}

function touch(path: string, hash: string): void {
  try {
    utimesSync(path, Date.now() / 1000, sealOf(hash))
  } catch {
    // Known a little too old is no harm.
  }
}

/**
 * The time of change that a finished file is given: a time long ago that follows from its name. Whoever writes to the file changes
 * it, and so a look at the file says that it is as it was made; when it was last asked for is the time of access.
 */
export function sealOf(hash: string): number {
  return 1_000_000_000 + (Number.parseInt(hash.slice(0, 8), 16) % 2 ** 28)
}

function isSealed({ mtimeMs }: Stats, hash: string): boolean {
  return mtimeMs === sealOf(hash) * 1000
}
