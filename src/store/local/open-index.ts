import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import { CacheError } from '../../errors.ts'
import type { Leases } from '../contracts.ts'
import { bootId, checkAfterBoot, isOfThisBoot, setBoot } from './boot.ts'
import { moveToDamaged, reportCorruption } from './corrupt.ts'
import { BUSY_LIMIT_MS, indexBusy, isBusy, pauseWhileBusy } from './index-busy.ts'
import { type IndexDb, openIndexDb } from './index-db.ts'
import { createTables, INDEX_VERSION, indexVersion, sealIndex } from './index-schema.ts'
import type { Layout } from './layout.ts'
import { isDamaged, sqliteCode } from './sqlite-errors.ts'

export interface OpenIndexOptions {
  readonly readOnly: boolean
  readonly durability: 'fast' | 'full'
}

/**
 * The index of a folder that is ours, ready to be trusted: built from the journal when it is missing or damaged, checked
 * when the machine was started anew since. Nothing of that happens in the usual case, which is one file opened. Throws
 * `store.busy` when other processes keep it locked.
 */
export async function openIndex(layout: Layout, leases: Leases, options: OpenIndexOptions): Promise<IndexDb> {
  let limit: number | undefined
  for (let attempt = 0; ; attempt++) {
    try {
      return await openOnce(layout, leases, options)
    } catch (error) {
      // Even a read is refused while the last connection of another process cleans up behind itself.
      if (!isBusy(error)) throw error
      // Not before it is needed: on Node the first look at this clock takes half a millisecond.
      limit ??= performance.now() + BUSY_LIMIT_MS
      if (performance.now() > limit) throw indexBusy(error)
    }
    await pauseWhileBusy(attempt)
  }
}

async function openOnce(layout: Layout, leases: Leases, options: OpenIndexOptions): Promise<IndexDb> {
  if (options.readOnly) return openForReading(layout)
  const index = openExisting(layout, options) ?? (await build(layout, leases, options))
  let isOpen = true
  const close = () => {
    if (isOpen) index[Symbol.dispose]()
    isOpen = false
  }
  try {
    const boot = bootId()
    if (isOfThisBoot(index, boot)) return index
    if (await isSoundAfterBoot(index, layout, leases, boot, close)) return index
  } catch (error) {
    close()
    if (!isDamaged(error)) throw error
  }
  return build(layout, leases, options)
}

/** Undefined: it is not there, or damaged. */
function openExisting(layout: Layout, options: OpenIndexOptions, path = layout.index): IndexDb | undefined {
  if (!existsSync(layout.index)) return undefined
  let index: IndexDb | undefined
  try {
    index = openIndexDb(path, options)
    const version = indexVersion(index)
    if (version === INDEX_VERSION) return index
    if (version > INDEX_VERSION) throw newer(layout, version)
  } catch (error) {
    index?.[Symbol.dispose]()
    index = undefined
    if (!isDamaged(error)) throw error
  }
  index?.[Symbol.dispose]()
  return undefined
}

/** Made under another name and renamed when whole, by one process at a time; the others wait and find it. */
async function build(layout: Layout, leases: Leases, options: OpenIndexOptions): Promise<IndexDb> {
  await using _ = await leases.hold('index', { note: 'building the index' })
  const made = openExisting(layout, options)
  if (made !== undefined) return made
  setAside(layout)
  const path = `${layout.tmp}/index-new.db`
  removeDatabase(path)
  const index = openIndexDb(path, options)
  try {
    await fill(index, layout)
  } finally {
    index[Symbol.dispose]()
  }
  renameSync(path, layout.index)
  return openIndexDb(layout.index, options)
}

async function fill(index: IndexDb, layout: Layout): Promise<void> {
  await createTables(index)
  const [{ rebuildIndex }, { verifyFiles }] = await Promise.all([import('./rebuild.ts'), import('./verify-files.ts')])
  await rebuildIndex(index, layout)
  await verifyFiles(index, layout)
  await index.write(() => setBoot(index, bootId()))
  await sealIndex(index)
}

/**
 * What is there and does not open is damaged, unless an older recue made it; its write-ahead log must not be taken for the
 * new one's.
 */
function setAside(layout: Layout): void {
  if (statSync(layout.index, { throwIfNoEntry: false }) !== undefined && !isOfOlderVersion(layout)) {
    reportCorruption('the index', layout.index)
    moveToDamaged(layout, layout.index)
  }
  removeDatabase(layout.index)
}

function isOfOlderVersion(layout: Layout): boolean {
  try {
    using index = openIndexDb(layout.index, { readOnly: true, durability: 'fast' })
    const version = indexVersion(index)
    return version > 0 && version < INDEX_VERSION
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error
    return false
  }
}

/** The index is damaged: the next opener builds it anew. After it was closed. */
export function abandonIndex(layout: Layout): void {
  moveToDamaged(layout, layout.index)
  removeDatabase(layout.index)
}

/** False: it is not, was closed and set aside. */
async function isSoundAfterBoot(
  index: IndexDb,
  layout: Layout,
  leases: Leases,
  boot: string,
  close: () => void,
): Promise<boolean> {
  await using _ = await leases.hold('index', { note: 'checking the index after a restart of the machine' })
  if (isOfThisBoot(index, boot) || (await checkAfterBoot(index, layout, leases, boot))) return true
  close()
  setAside(layout)
  return false
}

/** Without an index, one in memory: nothing is written. */
async function openForReading(layout: Layout): Promise<IndexDb> {
  const options = { readOnly: true, durability: 'fast' } as const
  const index = openExistingReadOnly(layout, options)
  if (index !== undefined) return index
  const memory = openIndexDb(':memory:', { ...options, readOnly: false })
  await fill(memory, layout)
  return memory
}

/**
 * SQLite makes files beside a database in WAL mode even for reading; where none are, nobody writes, and it may be told that
 * nobody will. Should somebody begin, what is read is checked row by row all the same.
 */
function openExistingReadOnly(layout: Layout, options: OpenIndexOptions): IndexDb | undefined {
  const isInUse = existsSync(`${layout.index}-wal`)
  return openExisting(layout, options, isInUse ? layout.index : unchangingPath(layout))
}

/** The index that is there, whatever it is worth, to look at while others write; also in a folder that cannot be written. Throws SQLite's error. */
export function openToLook(layout: Layout): IndexDb {
  const options = { readOnly: true, durability: 'fast' } as const
  const index = openIndexDb(layout.index, options)
  try {
    indexVersion(index)
    return index
  } catch (error) {
    index[Symbol.dispose]()
    if (!CANNOT_WRITE.has(sqliteCode(error) ?? 0)) throw error
  }
  return openIndexDb(unchangingPath(layout), options)
}

/** SQLITE_READONLY, SQLITE_CANTOPEN: whether it is the file's mode or the file system. */
const CANNOT_WRITE: ReadonlySet<number> = new Set([8, 14])

function unchangingPath(layout: Layout): string {
  return `file:${encodeURI(layout.index).replaceAll('?', '%3f').replaceAll('#', '%23')}?immutable=1`
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}

function newer(layout: Layout, version: number): CacheError {
  return new CacheError(
    'store.newer-format',
    `The index of the cache in ${layout.dir} is of version ${version}; this recue knows versions up to ${INDEX_VERSION}.`,
    { hint: 'Update recue, or name another folder with --cache-dir.', context: { version } },
  )
}
