import { lstatSync } from 'node:fs'
import { systemCode } from '../errors.ts'
import { isRacy, type StatIdentity } from './stat-identity.ts'

/** One path of a snapshot as it was looked at. */
export interface SnapshotEntry {
  /** Relative to the snapshot's base, `/` between names, no leading `./`. */
  readonly path: string
  /** Undefined: nothing is there, and that is what should stay so. */
  readonly identity: StatIdentity | undefined
  /** 64 hex digits: SHA-256 of a file's content or of a symlink's text; undefined for a directory. */
  readonly hash: string | undefined
}

const MAGIC = 0x314e5352
const HEADER_BYTES = 40
const QUIET = { throwIfNoEntry: false } as const
const NO_HASH = new Uint8Array(32)
/** No file has this size: it stands for a path where nothing is. */
const ABSENT_SIZE = -1

/**
 * A list of paths with their stat identities, and apart from them their digests: what was true of a tree when it was last
 * hashed. As long as nothing in it changed, nothing needs to be listed or hashed again. Directories are entries too: one
 * whose identity is the same still lists the same names.
 *
 * The two parts are kept as two records, since a look-up that finds nothing changed needs only the first: typed arrays
 * that are compared in place, no object per file.
 */
export class TreeSnapshot {
  /** Joins the two parts: a digest part with another id belongs to another snapshot. */
  readonly id: number
  /** The caller's own bytes: what the snapshot as a whole stands for. */
  readonly head: Uint8Array
  readonly paths: readonly string[]
  /** Five numbers a path: mtimeMs, ctimeMs, size, ino, mode. A racy entry has NaN and so never equals anything. */
  readonly #stats: Float64Array
  #hashes: Uint8Array | undefined

  private constructor(
    id: number,
    head: Uint8Array,
    paths: readonly string[],
    stats: Float64Array,
    hashes?: Uint8Array,
  ) {
    this.id = id
    this.head = head
    this.paths = paths
    this.#stats = stats
    this.#hashes = hashes
  }

  /** `takenAtMs`: Unix time before the first entry was looked at; what was stamped shortly before it is not trusted later. */
  static of(
    entries: readonly SnapshotEntry[],
    options: { takenAtMs: number; id: number; head: Uint8Array },
  ): TreeSnapshot {
    const stats = new Float64Array(entries.length * 5)
    const hashes = new Uint8Array(entries.length * 32)
    entries.forEach(({ identity, hash }, i) => {
      const at = i * 5
      if (identity === undefined) stats[at + 2] = ABSENT_SIZE
      else {
        stats[at] = isRacy(identity, options.takenAtMs) ? Number.NaN : identity.mtimeMs
        stats[at + 1] = identity.ctimeMs
        stats[at + 2] = identity.size
        stats[at + 3] = identity.ino
        stats[at + 4] = identity.mode
      }
      hashes.set(hash === undefined ? NO_HASH : Buffer.from(hash, 'hex'), i * 32)
    })
    return new TreeSnapshot(
      options.id,
      options.head,
      entries.map((entry) => entry.path),
      stats,
      hashes,
    )
  }

  /** Undefined for bytes of another layout; that they are undamaged is the keeper's to check. */
  static decode(record: Uint8Array): TreeSnapshot | undefined {
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined
    const count = bytes.readUInt32LE(4)
    const headBytes = bytes.readUInt32LE(8)
    const pathBytes = bytes.readUInt32LE(12)
    const id = bytes.readDoubleLE(16)
    const statsStart = HEADER_BYTES + pathBytes + headBytes
    if (bytes.length !== statsStart + count * 40) return undefined
    const paths = count === 0 ? [] : bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + pathBytes).split('\0')
    if (paths.length !== count) return undefined
    const head = bytes.subarray(HEADER_BYTES + pathBytes, statsStart)
    // Copied, since a Float64Array needs an aligned start.
    const stats = new Float64Array(count * 5)
    new Uint8Array(stats.buffer).set(bytes.subarray(statsStart))
    return new TreeSnapshot(id, head, paths, stats)
  }

  encode(): { stats: Uint8Array; digests: Uint8Array } {
    const paths = Buffer.from(this.paths.join('\0'))
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32LE(MAGIC, 0)
    header.writeUInt32LE(this.paths.length, 4)
    header.writeUInt32LE(this.head.length, 8)
    header.writeUInt32LE(paths.length, 12)
    header.writeDoubleLE(this.id, 16)
    const stats = new Uint8Array(this.#stats.buffer, this.#stats.byteOffset, this.#stats.byteLength)
    const id = Buffer.alloc(8)
    id.writeDoubleLE(this.id)
    return {
      stats: Buffer.concat([header, paths, this.head, stats]),
      digests: Buffer.concat([id, this.#hashes ?? new Uint8Array(0)]),
    }
  }

  get hasDigests(): boolean {
    return this.#hashes !== undefined
  }

  /** Adds the digest part; false when it belongs to another snapshot, and nothing was added. */
  attachDigests(record: Uint8Array | undefined): boolean {
    if (record === undefined || record.length !== 8 + this.paths.length * 32) return false
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    if (bytes.readDoubleLE(0) !== this.id) return false
    this.#hashes = bytes.subarray(8)
    return true
  }

  /**
   * The index of the first path at or after `from` that is not as it was, or -1. `base` is a folder with a trailing
   * slash, or empty for the working directory (a relative path is resolved faster by the kernel). `look`: at what each
   * path leads to, for a snapshot of such.
   */
  nextChange(base: string, from = 0, look: typeof lstatSync = lstatSync): number {
    const { paths } = this
    const stats = this.#stats as unknown as { readonly [index: number]: number }
    for (let i = from; i < paths.length; i++) {
      try {
        for (let at = i * 5; i < paths.length; i++, at += 5) {
          const now = look(base === '' ? (paths[i] as string) : base + paths[i], QUIET)
          if (now === undefined) {
            if (stats[at + 2] === ABSENT_SIZE) continue
            return i
          }
          if (
            now.mtimeMs !== stats[at] ||
            now.ctimeMs !== stats[at + 1] ||
            now.size !== stats[at + 2] ||
            now.ino !== stats[at + 3] ||
            now.mode !== stats[at + 4]
          )
            return i
        }
      } catch (error) {
        // A file where a folder would have to be: still nothing is there. A folder that can no longer be searched is a
        // change, and whoever reads it next says which.
        if (stats[i * 5 + 2] !== ABSENT_SIZE || systemCode(error) !== 'ENOTDIR') return i
      }
    }
    return -1
  }

  /** Whether the path at `index` had this identity, and was not racy. */
  matches(index: number, identity: StatIdentity): boolean {
    const at = index * 5
    return (
      this.#stats[at] === identity.mtimeMs &&
      this.#stats[at + 1] === identity.ctimeMs &&
      this.#stats[at + 2] === identity.size &&
      this.#stats[at + 3] === identity.ino &&
      this.#stats[at + 4] === identity.mode
    )
  }

  /** The identity as recorded, for a snapshot that carries an entry on; undefined where nothing was. A racy one stays racy. */
  identity(index: number): StatIdentity | undefined {
    const at = index * 5
    const [mtimeMs, ctimeMs, size, ino, mode] = this.#stats.subarray(at, at + 5) as unknown as [
      number,
      number,
      number,
      number,
      number,
    ]
    return size === ABSENT_SIZE ? undefined : { mtimeMs, ctimeMs, size, ino, mode }
  }

  /** Type and permission bits as recorded. */
  mode(index: number): number {
    return this.#stats[index * 5 + 4] as number
  }

  sizeBytes(index: number): number {
    return this.#stats[index * 5 + 2] as number
  }

  /** SHA-256 in hex, or undefined where none was recorded. Only after the digests were attached. */
  hash(index: number): string | undefined {
    const hashes = this.#hashes
    if (hashes === undefined) return undefined
    const hex = Buffer.from(hashes.buffer, hashes.byteOffset + index * 32, 32).toString('hex')
    return /^0+$/.test(hex) ? undefined : hex
  }

  /** Path → index, for those who change a snapshot. */
  index(): ReadonlyMap<string, number> {
    return new Map(this.paths.map((path, i) => [path, i]))
  }
}
