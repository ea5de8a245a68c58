import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs'
import { CacheError, systemCode } from '../../errors.ts'
import { FORMAT_PREFIX, FORMAT_VERSION, type Layout, layoutOf } from './layout.ts'
import { readSmallFile } from './small-file.ts'

/** From linux/magic.h and the like: file systems on which SQLite's locks and its shared memory cannot be relied on. */
export const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x564c, 'NCP'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x01021997, '9P'],
  [0x47504653, 'GPFS'],
  [0x0bd00bd0, 'Lustre'],
  [0x19830326, 'BeeGFS'],
])

export const CACHEDIR_TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of recue. It may be deleted; backups may leave it out (https://bford.info/cachedir/).
`

/**
 * Makes sure that `dir` is ours to use: it has our FORMAT, or it is missing or empty and becomes ours (0700, with
 * CACHEDIR.TAG) unless `readOnly`. Throws `store.unusable` or `store.newer-format`, with what to do.
 */
export function adopt(dir: string, readOnly: boolean): Layout {
  const layout = layoutOf(dir)
  const format = readFormat(layout)
  if (format === undefined) {
    if (readOnly) throw unusable(dir, 'there is no cache in it', 'Open it without readOnly to make one.')
    create(layout)
  } else checkFormat(dir, format)
  refuseForeign(dir)
  if (readOnly) return layout
  refuseNetwork(dir)
  completeFolders(layout)
  return layout
}

function readFormat(layout: Layout): string | undefined {
  try {
    // Empty: another process is making it at this moment, or died when it was.
    return readSmallFile(layout.format) || undefined
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ENOTDIR') throw unusable(layout.dir, 'it, or a folder it lies in, is a file', 'Name a folder.')
    if (code === 'EACCES' || code === 'EPERM')
      throw unusable(layout.dir, 'it may not be read', 'Check its permissions.')
    throw unusable(layout.dir, `its FORMAT cannot be read (${code})`, 'Name another folder.', error)
  }
}

function checkFormat(dir: string, format: string): void {
  const version = format.startsWith(FORMAT_PREFIX)
    ? Number.parseInt(format.slice(FORMAT_PREFIX.length), 10)
    : Number.NaN
  if (Number.isNaN(version)) throw unusable(dir, 'its FORMAT file is not of recue', 'Name another folder.')
  if (version <= FORMAT_VERSION) return
  throw new CacheError(
    'store.newer-format',
    `The cache folder ${dir} is of format ${version}; this recue knows formats up to ${FORMAT_VERSION}.`,
    { hint: 'Update recue, or name another folder with --cache-dir.', context: { dir, version } },
  )
}

function create(layout: Layout): void {
  const { dir } = layout
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    refuseForeign(dir)
    refuseNetwork(dir)
    // Another process may be making it at the same time: its files are the same, and its FORMAT comes before its folders.
    const others = readdirSync(dir).filter((name) => name !== 'FORMAT' && name !== 'CACHEDIR.TAG')
    if (others.length > 0 && readFormat(layout) === undefined)
      throw unusable(
        dir,
        `it holds other things (${others[0]}, …)`,
        'Name an empty folder, or one that is not there yet.',
      )
    writeOver(layout.tag, CACHEDIR_TAG)
    writeOver(layout.format, `${FORMAT_PREFIX}${FORMAT_VERSION}\n`)
    makeFolders(layout)
  } catch (error) {
    const code = systemCode(error)
    if (code === undefined || error instanceof CacheError) throw error
    if (code === 'ENOTDIR' || code === 'EEXIST')
      throw unusable(dir, 'it, or a folder it lies in, is a file', 'Name a folder.', error)
    if (code === 'ENOSPC')
      throw new CacheError('store.full', `No space is left for the cache folder ${dir}.`, { cause: error })
    throw unusable(dir, `it cannot be made or written (${code})`, 'Check its permissions.', error)
  }
}

/** Does not empty the file first: where another process has written the same, it is whole at every moment. */
function writeOver(path: string, text: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT)
  try {
    writeSync(file, text)
  } finally {
    closeSync(file)
  }
}

function makeFolders({ journal, blobs, tmp, locks }: Layout): void {
  for (const folder of [journal, blobs, tmp, locks]) mkdirSync(folder, { recursive: true, mode: 0o700 })
}

/** Backups and people leave empty folders out. */
function completeFolders(layout: Layout): void {
  const { dir, journal, blobs, tmp, locks } = layout
  if (existsSync(journal) && existsSync(blobs) && existsSync(tmp) && existsSync(locks)) return
  try {
    makeFolders(layout)
  } catch (error) {
    throw unusable(
      dir,
      `a folder in it is missing and cannot be made (${systemCode(error)})`,
      'Check its permissions.',
      error,
    )
  }
}

/** Somebody else's folder could be changed under us, with results of their making. */
function refuseForeign(dir: string): void {
  const stats = statSync(dir, { throwIfNoEntry: false })
  if (stats === undefined || process.getuid === undefined) return
  const uid = process.geteuid?.() ?? process.getuid()
  if (stats.uid !== uid)
    throw unusable(dir, `it belongs to another user (uid ${stats.uid})`, 'Name a folder of your own.')
}

function refuseNetwork(dir: string): void {
  const type = NETWORK_FILE_SYSTEMS.get(statfsSync(dir).type >>> 0)
  if (type === undefined) return
  throw unusable(
    dir,
    `it lies on a network file system (${type}), where its index could be damaged`,
    'Name a folder on a local disk.',
  )
}

function unusable(dir: string, why: string, hint: string, cause?: unknown): CacheError {
  return new CacheError('store.unusable', `The cache folder ${dir} cannot be used: ${why}.`, {
    hint: `${hint} (--cache-dir or RECUE_CACHE_DIR)`,
    context: { dir },
    cause,
  })
}
