import { accessSync, constants, lstatSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemCode } from '../../errors.ts'
import { NETWORK_FILE_SYSTEMS } from '../../store/local/adopt.ts'
import { FORMAT_PREFIX, FORMAT_VERSION } from '../../store/local/layout.ts'
import { formatSize } from '../../units/size.ts'
import { type Check, type Finding, fail, ok, type Subject, warn } from './check.ts'

/** The folder itself, looked at from outside: they work where the store cannot be opened. */
export const FOLDER_CHECKS: readonly Check[] = [
  { name: 'folder', find: folder },
  { name: 'permissions', find: permissions },
  { name: 'file system', find: fileSystem },
  { name: 'free space', find: freeSpace },
]

function folder({ dir }: Subject): Finding {
  const stats = statSync(dir, { throwIfNoEntry: false })
  if (stats === undefined) return ok(`${dir} is not there yet: the first run makes it`)
  if (!stats.isDirectory()) return fail(`${dir} is a file`, 'Name a folder with --cache-dir or RECUE_CACHE_DIR.')
  const format = formatOf(dir)
  if (format === undefined) {
    return fail(`${dir} is not a cache of recue`, 'Name an empty folder with --cache-dir or RECUE_CACHE_DIR.')
  }
  if (format > FORMAT_VERSION) {
    return fail(`${dir} is of format ${format}, newer than this recue`, 'Update recue, or name another folder.')
  }
  return ok(`${dir}, format ${format}`)
}

/** Undefined where there is none of ours. */
function formatOf(dir: string): number | undefined {
  try {
    const text = readFileSync(join(dir, 'FORMAT'), 'utf8')
    const version = text.startsWith(FORMAT_PREFIX) ? Number.parseInt(text.slice(FORMAT_PREFIX.length), 10) : Number.NaN
    return Number.isNaN(version) ? undefined : version
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES') return undefined
    throw error
  }
}

function permissions({ dir }: Subject): Finding {
  const place = nearestThere(dir)
  const stats = lstatSync(place)
  const uid = process.geteuid?.()
  if (place === dir && uid !== undefined && stats.uid !== uid) {
    return fail(`it belongs to another user (uid ${stats.uid})`, 'Name a folder of your own.')
  }
  if (!isWritable(place)) {
    return fail(`${place} may not be written`, `Give yourself the right to: chmod u+rwx ${place}`)
  }
  if (place === dir && process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8)
    return warn(`others on this machine can look into it (mode ${mode})`, `Keep it to yourself: chmod 700 ${dir}`)
  }
  return ok(place === dir ? 'yours, and nobody else may look into it' : `${place} may be written`)
}

function isWritable(place: string): boolean {
  try {
    accessSync(place, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'XFS'],
  [0x9123683e, 'Btrfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0x2fc12fc1, 'ZFS'],
  [0xf2f52010, 'F2FS'],
  [0xca451a4e, 'bcachefs'],
])
function fileSystem({ dir }: Subject): Finding {
  const type = statfsSync(nearestThere(dir)).type >>> 0
  const network = NETWORK_FILE_SYSTEMS.get(type)
  if (network !== undefined) {
    return fail(`${network}: a network file system can damage the index`, 'Name a folder on a local disk.')
  }
  if (FILE_SYSTEMS.get(type) === 'tmpfs') return warn('tmpfs: it is gone after a restart', 'Name a folder on a disk.')
  return ok(process.platform === 'linux' ? (FILE_SYSTEMS.get(type) ?? `type 0x${type.toString(16)}`) : 'local')
}

/** With less, a build fills the disk before the collector can do anything. */
const LEAST_FREE_BYTES = 1e9

async function freeSpace({ dir, session }: Subject): Promise<Finding> {
  const { bavail, bsize } = statfsSync(nearestThere(dir))
  const freeBytes = bavail * bsize
  // A damaged index does not say, and has a check of its own.
  const usage = await session?.cache.catalog.usage().catch(() => undefined)
  const used =
    usage === undefined
      ? ''
      : `, the cache has ${formatSize(usage.diskBytes)} of its ${formatSize(usage.maxCacheBytes)}`
  const what = `${formatSize(freeBytes)} free${used}`
  if (freeBytes < LEAST_FREE_BYTES)
    return warn(what, 'Make room: recue gc --target SIZE, or a smaller --max-cache-size.')
  return ok(what)
}

/** The folder, or what there is of the way to it. */
function nearestThere(dir: string): string {
  let place = dir
  while (statSync(place, { throwIfNoEntry: false }) === undefined && dirname(place) !== place) place = dirname(place)
  return place
}
