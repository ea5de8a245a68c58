import { resolve } from 'node:path'
import { systemCode } from '../../errors.ts'
import type {
  ActionStore,
  BlobFiles,
  BlobNames,
  BlobStore,
  Catalog,
  Changes,
  Frames,
  Ingest,
  Leases,
  WorkspaceRecords,
} from '../contracts.ts'
import { adopt } from './adopt.ts'
import { BlobWriter } from './blob-writer.ts'
import { upkeep } from './collector/collector-upkeep.ts'
import { type QuotaOptions, refuseAbsurd } from './collector/quota.ts'
import { compressionOf } from './compression.ts'
import { Damage } from './damage.ts'
import { explained } from './explained.ts'
import { isBusy } from './index-busy.ts'
import { lazyBlobFiles } from './lazy-blob-files.ts'
import { lazyCatalog } from './lazy-catalog.ts'
import { lazyFrames } from './lazy-frames.ts'
import { lazyJournal } from './lazy-journal.ts'
import { fileLeases } from './leases.ts'
import { localActions } from './local-actions.ts'
import { localBlobs } from './local-blobs.ts'
import { localNames } from './local-names.ts'
import { localRecords } from './local-records.ts'
import { Marks } from './marks.ts'
import { abandonIndex, openIndex } from './open-index.ts'
import { Presence } from './presence.ts'
import { RecentPacks } from './recent-packs.ts'
import { sqliteCode } from './sqlite-errors.ts'

export interface LocalStoreOptions extends QuotaOptions {
  /** The cache folder; adopted if it is missing or empty. */
  readonly dir: string
  /** Blobs up to this size are kept in the index, where one look-up finds them. */
  readonly inlineBytes?: number
  /** A zstd level; `auto` chooses. */
  readonly compression?: 'auto' | 'off' | number
  /** `fastcdc`: blobs of more than a mebibyte are kept as chunks, which are shared between versions of slowly changing content. */
  readonly chunking?: 'off' | 'fastcdc'
  /** Large blobs are stored raw, and given out as hard links: read-only, and shared by all who have them. */
  readonly hardLink?: boolean
  /**
   * `fast`: a killed process loses nothing; a power cut may lose what was written in the last moments, never
   * consistency. `full`: what was answered is on the disk.
   */
  readonly durability?: 'fast' | 'full'
  /** Nothing in the folder is changed, not even access marks; writes are refused with `store.read-only`. */
  readonly readOnly?: boolean
  /** False: what is looked up does not count as used, for those who only look around. */
  readonly countsUses?: boolean
  /** What a single blob was read from, and its neighbours with it, stays in memory for the next: two mebibytes at most. */
  readonly remembersPacks?: boolean
  readonly now?: () => number
}

/** Dispose of it to end what is under way and to let other processes have its segment. */
export interface LocalStore extends AsyncDisposable {
  /** Absolute. */
  readonly dir: string
  readonly blobs: BlobStore & Ingest
  readonly files: BlobFiles
  readonly frames: Frames
  readonly actions: ActionStore
  readonly changes: Changes
  readonly names: BlobNames
  readonly leases: Leases
  readonly catalog: Catalog
  readonly records: WorkspaceRecords
}

/**
 * Measured on both runtimes: a blob in its row is read in 6 to 11 us, one in a pack in 70 to 200; up to 500 bytes writing
 * costs no more for it, from 1000 on (rows that overflow their page) three times as much and rising.
 */
const INLINE_BYTES = 512

/**
 * The engine: a store in a folder on a local disk, shared by any number of processes. Throws `store.unusable` or
 * `store.newer-format` when the folder cannot be had. Opening one that exists is one file opened and a few rows read.
 */
export async function openLocalStore(options: LocalStoreOptions): Promise<LocalStore> {
  const { readOnly = false, durability = 'fast', ttlMs, now = Date.now } = options
  const dir = resolve(options.dir)
  const layout = adopt(dir, readOnly)
  refuseAbsurd(dir, options)
  const leases = fileLeases(layout.locks)
  const index = await openIndex(layout, leases, { readOnly, durability }).catch((error: unknown) => {
    throw openFailure(error, dir)
  })
  const compression = compressionOf(options.compression ?? 'auto')
  const onAppend = compression.wrote.bind(compression)
  const onFull = () => keeper.full()
  const journal = lazyJournal({ layout, index, leases, durability, now, onAppend, onFull })
  const presence = new Presence(index, now)
  const marks = new Marks(index, now, options.countsUses ?? true)
  const damage = new Damage(index, layout, readOnly)
  const shared = { onFull, layout, index, journal, presence, compression, durability, marks, damage, readOnly, now }
  const writer = new BlobWriter({ ...shared, inlineBytes: options.inlineBytes ?? INLINE_BYTES })
  const { chunking = 'off', hardLink = false } = options
  const large = { ...shared, chunking, ...(hardLink ? { compression: compressionOf('off') } : {}) }
  const recentPacks = options.remembersPacks === true ? new RecentPacks() : undefined
  const blobs = localBlobs({ ...large, writer, recentPacks })
  const collected = { ...shared, leases, flushMarks: () => marks.flush(), limits: options }
  const keeper = upkeep(collected)
  return {
    dir,
    blobs,
    files: lazyBlobFiles({ ...large, blobs, hardLink }),
    frames: lazyFrames({ ...large, blobs }),
    actions: localActions({ ...shared, blobs, ttlMs, onPut: () => keeper.saved() }),
    changes: index,
    names: localNames(shared),
    leases,
    catalog: lazyCatalog(collected),
    records: localRecords(shared),
    async [Symbol.asyncDispose]() {
      await keeper[Symbol.asyncDispose]()
      await journal[Symbol.asyncDispose]()
      await damage.settled()
      await marks.flush()
      index[Symbol.dispose]()
      if (index.isDamaged && !readOnly) abandonIndex(layout)
    },
  }
}

/** SQLite's words for a folder that cannot be written are its own. */
function openFailure(error: unknown, dir: string): unknown {
  const code = sqliteCode(error)
  if (code === undefined || isBusy(error)) return systemCode(error) === undefined ? error : explained(error, dir)
  const isFull = code === SQLITE_FULL || (error as { errcode?: unknown }).errcode === SQLITE_IOERR_SHMSIZE
  const asSystem = isFull ? 'ENOSPC' : 'EACCES'
  return explained(Object.assign(new Error(String(error)), { code: asSystem, cause: error }), dir)
}

const SQLITE_FULL = 13
/** Not even the few kilobytes find room by which processes share the index. */
const SQLITE_IOERR_SHMSIZE = 4874
