import { type Dirent, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'

/** What a file of the cache folder belongs to, as people see it. */
export type CachePart = 'index' | 'journal' | 'blobs' | 'ledger' | 'trash' | 'other'

/** A file of ours, or a folder that is ours with all that is in it. */
export interface OwnEntry {
  /** Absolute. */
  readonly path: string
  readonly part: CachePart
  /** Of all in it. */
  readonly files: number
  readonly sizeBytes: number
}

/** What of the cache folder is ours, by name. Everything else in it is somebody else's, and is not even counted. */
interface OwnFolder {
  /** Below the cache folder; empty for itself. */
  readonly folder: string
  readonly part: CachePart
  readonly files: RegExp
  /** Names of folders that are ours with all that is in them. */
  readonly folders?: RegExp
}

const OWN_FOLDERS: readonly OwnFolder[] = [
  { folder: '', part: 'index', files: /^index\.db(-wal|-shm|-journal)?$/ },
  { folder: 'journal', part: 'journal', files: /^\d{8,}\.seg$/ },
  ...Array.from({ length: 256 }, (_, i) => ({
    folder: `blobs/${i.toString(16).padStart(2, '0')}`,
    part: 'blobs' as const,
    files: /^[0-9a-f]{64}(\.zst)?$/,
  })),
  { folder: 'ledger', part: 'ledger', files: /^(runs-\d{8}\.log|totals-\d{8}|tmp-\d+-\d+)$/ },
  { folder: 'locks', part: 'other', files: /^[\w%.~!*'()-]+$/ },
  { folder: 'pins', part: 'other', files: /^[0-9a-f]{64}(-[0-9a-f]{32})?$/ },
  { folder: 'damaged', part: 'other', files: /^\d{13,}-/ },
  { folder: 'remotes', part: 'other', files: /^[0-9a-f]{32}(\.(\d+|reads))?$/ },
  { folder: 'lent', part: 'other', files: /^([0-9a-f]{64}|making-[\w-]+|swept)$/ },
  {
    folder: 'tmp',
    part: 'other',
    files: /^(blob-\d+-\d+|stream-[\w-]+|hit-[0-9a-f]{8}(-\d+)?)$/,
    folders: /^restore-[0-9a-z]+-[0-9a-z]+$/,
  },
  { folder: '', part: 'other', files: /^(CACHEDIR\.TAG|FORMAT|reserve)$/ },
]

/** One entry a clean-up: what was moved out of the way of an output. */
const TRASH_FOLDER: OwnFolder = {
  folder: 'trash',
  part: 'trash',
  files: /^$/,
  folders: /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z-[0-9a-z]+$/,
}

/**
 * The files of recue in a cache folder, the ones that make it a cache last. Only regular files with names of our patterns, in
 * our own real sub-folders: never through a link. The trash holds the user's own and comes only when asked for.
 */
export function* ownEntries(dir: string, options: { readonly trash: boolean }): Generator<OwnEntry> {
  for (const own of options.trash ? [TRASH_FOLDER, ...OWN_FOLDERS] : OWN_FOLDERS) {
    if (own.folder !== '' && !isRealFolder(dir, own.folder)) continue
    for (const entry of entriesOf(join(dir, own.folder))) {
      const pattern = entry.isFile() ? own.files : entry.isDirectory() ? own.folders : undefined
      const path = join(dir, own.folder, entry.name)
      if (pattern?.test(entry.name)) yield { path, part: own.part, ...contentOf(path) }
    }
  }
}

/** Our own sub-folders, the deepest first, for those who emptied them. */
export function* ownFolders(dir: string): Generator<string> {
  for (const { folder } of OWN_FOLDERS) if (folder !== '' && isRealFolder(dir, folder)) yield join(dir, folder)
  for (const folder of ['blobs', 'trash']) if (isRealFolder(dir, folder)) yield join(dir, folder)
}

/** Links are counted as what they are, and not followed. */
function contentOf(path: string): { files: number; sizeBytes: number } {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return { files: 0, sizeBytes: 0 }
  if (!stats.isDirectory()) return { files: 1, sizeBytes: stats.size }
  let [files, sizeBytes] = [0, 0]
  for (const { name } of entriesOf(path)) {
    const content = contentOf(join(path, name))
    files += content.files
    sizeBytes += content.sizeBytes
  }
  return { files, sizeBytes }
}

/** Every folder on the way, too: `blobs` may be a link where `blobs/00` is not. */
function isRealFolder(dir: string, relative: string): boolean {
  const names = relative.split('/')
  return names.every(
    (_, i) => lstatSync(join(dir, ...names.slice(0, i + 1)), { throwIfNoEntry: false })?.isDirectory() === true,
  )
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return []
    throw error
  }
}
