import { chmodSync, closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs'
import { copyFile, link, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import { isRacy, statIdentity } from '../../digest/stat-identity.ts'
import { isCacheError, systemCode } from '../../errors.ts'
import type { BlobFiles, BlobStore, PlaceOptions, Scope, SourceFile } from '../contracts.ts'
import { placeOf } from './blob-place.ts'
import type { LargeBlobOptions } from './large-blob-writer.ts'
import { blobPath } from './layout.ts'
import { type BlobPlace, blobKey, encodeBlobPlace } from './rows.ts'

export interface LargeBlobFilesOptions extends LargeBlobOptions {
  readonly blobs: BlobStore
  readonly readOnly: boolean
  readonly hardLink: boolean
  readonly chunking: 'off' | 'fastcdc'
}

type FilePlace = BlobPlace & { kind: 'file' }

/** Large blobs that are kept raw, shared with a workspace instead of copied. */
export function largeBlobFiles(options: LargeBlobFilesOptions): BlobFiles {
  return new LargeBlobFiles(options)
}

const QUIET = { throwIfNoEntry: false } as const
const WRITABLE = 0o222

class LargeBlobFiles implements BlobFiles {
  readonly #options: LargeBlobFilesOptions
  /** Pairs of file systems between which nothing can be cloned. */
  readonly #notCloning = new Set<string>()

  constructor(options: LargeBlobFilesOptions) {
    this.#options = options
  }

  async place(
    scope: Scope,
    digest: Digest,
    path: string,
    options: PlaceOptions,
  ): Promise<'cloned' | 'linked' | undefined> {
    const { index, layout, hardLink } = this.#options
    const found = index.lookUp(() => findRaw(this.#options, digest), undefined)
    if (found === undefined) return undefined
    const file = blobPath(layout, digest.hash, 'raw')
    const stats = statSync(file, QUIET)
    if (stats === undefined) return undefined
    const pair = { from: stats.dev, to: statSync(dirname(path)).dev }
    // A tool that writes to a link in the tick in which the file was made would leave no trace.
    const isSettled = !isRacy({ ...statIdentity(stats), ctimeMs: 0 }, Date.now())
    const canLink = hardLink && isSettled && pair.from === pair.to
    if (!canLink && !this.#mayClone(pair)) return undefined
    if (!(await this.#isRight(scope, digest, found, stats, options.signal))) return undefined
    if (canLink && (await linked(file, path, options.isExecutable))) return 'linked'
    return (await this.#cloned(file, path, pair, options.isExecutable)) ? 'cloned' : undefined
  }

  async ingestFile(scope: Scope, source: SourceFile, signal?: AbortSignal): Promise<Digest | undefined> {
    const { layout, readOnly, chunking } = this.#options
    if (readOnly || chunking !== 'off') return undefined
    const pair = { from: fstatSync(source.file).dev, to: statSync(layout.dir).dev }
    if (!this.#mayClone(pair)) return undefined
    const { stageClonedBlob } = await import('./large-blob-writer.ts')
    const clone = (path: string) => this.#cloned(openedPath(source), path, pair, false)
    await using staged = await stageClonedBlob(this.#options, source.file, clone, signal)
    if (staged === undefined) return undefined
    const [missing] = await this.#options.blobs.missing(scope, [staged.digest], signal)
    if (missing !== undefined) await staged.publish()
    return staged.digest
  }

  #mayClone(pair: Devices): boolean {
    return !this.#notCloning.has(`${pair.from} ${pair.to}`)
  }

  async #cloned(from: string, to: string, pair: Devices, isExecutable: boolean): Promise<boolean> {
    if (!this.#mayClone(pair)) return false
    const mode = modeOfNew(to, isExecutable)
    try {
      await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE)
      // A copy takes the mode of what it copies.
      chmodSync(to, mode)
      return true
    } catch (error) {
      await rm(to, { force: true })
      if (systemCode(error) === undefined) throw error
      if (CANNOT_CLONE.has(String(systemCode(error)))) this.#notCloning.add(`${pair.from} ${pair.to}`)
      return false
    }
  }

  /** What looks as it did when its content was known is not read again; anything else is, once. */
  async #isRight(
    scope: Scope,
    digest: Digest,
    place: FilePlace,
    stats: Stats,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    if (looksAsVerified(place, stats)) return true
    const { blobs, index, layout, readOnly } = this.#options
    if (!(await hasContent(blobs, scope, digest, signal))) return false
    const now = statSync(blobPath(layout, digest.hash, 'raw'), QUIET)
    if (now === undefined || now.mtimeMs !== stats.mtimeMs || now.ino !== stats.ino || now.size !== stats.size)
      return false
    if (!readOnly) await index.write(() => remember(this.#options, digest, place, stats))
    return true
  }
}

interface Devices {
  readonly from: number
  readonly to: number
}

/** By file system (also on the way between two), by kernel, or by a security module. */
const CANNOT_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY', 'EPERM'])

function findRaw({ index }: LargeBlobFilesOptions, digest: Digest): FilePlace | undefined {
  const key = blobKey(digest.hash)
  const place = placeOf(index, key)
  const isRaw = place?.kind === 'file' && place.codec === 'raw' && place.sizeBytes === digest.sizeBytes
  return isRaw ? place : undefined
}

function looksAsVerified({ storedBytes, verified }: FilePlace, { size, mtimeMs, ino }: Stats): boolean {
  return size === storedBytes && verified?.mtimeMs === mtimeMs && verified.ino === ino
}

async function hasContent(
  blobs: BlobStore,
  scope: Scope,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = streamDigest()
  try {
    await using bytes = await blobs.read(scope, digest, signal === undefined ? {} : { signal })
    for await (const chunk of bytes ?? []) found.update(chunk)
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.corrupt') return false
    throw error
  }
  return found.digest().hash === digest.hash
}

/** Within a transaction: unless the row was replaced meanwhile. */
function remember(options: LargeBlobFilesOptions, digest: Digest, place: FilePlace, stats: Stats): void {
  const now = findRaw(options, digest)
  if (now?.record.segment !== place.record.segment || now.record.offset !== place.record.offset) return
  const key = blobKey(digest.hash)
  const verified = { mtimeMs: stats.mtimeMs, ino: stats.ino }
  options.index.sql('UPDATE blobs SET place=? WHERE hash=?').run(encodeBlobPlace(key, { ...now, verified }), key)
}

/**
 * The file has one mode for all who share it: the first to link it says whether it is executable, and it is read-only from
 * then on. False: to be had in another way.
 */
async function linked(file: string, path: string, isExecutable: boolean): Promise<boolean> {
  const wanted = isExecutable ? 0o555 : 0o444
  try {
    const { mode } = statSync(file)
    if ((mode & WRITABLE) !== 0) chmodSync(file, wanted)
    else if ((mode & 0o777) !== wanted) return false
    await link(file, path)
    return true
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return false
  }
}

/** Makes the file, so that the umask says. */
function modeOfNew(path: string, isExecutable: boolean): number {
  const file = openSync(path, 'wx', isExecutable ? 0o777 : 0o666)
  try {
    return fstatSync(file).mode & 0o777
  } finally {
    closeSync(file)
  }
}

/** The file that is open, whatever its name leads to by now; where the kernel cannot say so, its name. */
function openedPath({ file, path }: SourceFile): string {
  return process.platform === 'linux' ? `/proc/self/fd/${file}` : path
}
