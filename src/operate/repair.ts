import { existsSync } from 'node:fs'
import { asActionDigest } from '../digest/digest.ts'
import { isCacheError, systemCode } from '../errors.ts'
import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { DEFAULT_SCOPE, type Lease, type Leases } from '../store/contracts.ts'
import { COLLECTOR_LEASE } from '../store/local/collector/catalog.ts'
import { removeOrphanFiles } from '../store/local/collector/collector-files.ts'
import { sweepStaging } from '../store/local/collector/collector-sweep.ts'
import { type IndexDb, openIndexDb } from '../store/local/index-db.ts'
import { openJournal } from '../store/local/journal.ts'
import { type Layout, layoutOf } from '../store/local/layout.ts'
import { fileLeases } from '../store/local/leases.ts'
import { type LocalStore, openLocalStore } from '../store/local/local-store.ts'
import { abandonIndex } from '../store/local/open-index.ts'
import { actionKey, blobKey } from '../store/local/rows.ts'
import { sqliteCode } from '../store/local/sqlite-errors.ts'
import { type Fault, type Inspection, isWell } from './fault.ts'
import { inspectStore } from './inspect.ts'
import { adoptOrphan, mendBlobFile, mendBlobTail, mendFolder, mendLedger, mendSegment } from './mend-files.ts'
import {
  listUnlisted,
  mendCounters,
  mendReach,
  putBackRecords,
  type Rescued,
  removeWrongRows,
  rescueAll,
} from './mend-index.ts'

export interface RepairOptions {
  /** Says what it would do, and changes nothing. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
}

export interface RepairReport {
  /** What was found, and with it what is lost for good: `found.lost` is what a remote may be asked for. */
  readonly found: Inspection
  /** What a second look found when all was done; undefined where there was nothing to do, or nothing was to be done. */
  readonly left: Inspection | undefined
}

/**
 * Mends a cache folder while others use it: the index is made right by the journal (or anew), what only its rows still hold
 * is written to the journal again, what does not check out is moved to `damaged/`, and results of which a blob is lost
 * are removed. Every step can be the last one: killed or aborted, it is whole, and another repair goes on. A second one
 * finds nothing to do.
 */
export async function repairStore(dir: string, { dryRun = false, signal }: RepairOptions = {}): Promise<RepairReport> {
  const layout = layoutOf(dir)
  const leases = fileLeases(layout.locks)
  await using _ = await collectorLease(leases, dryRun, signal)
  const found = await inspectStore(dir, signal)
  const isLocked = found.faults.some((fault) => fault.kind === 'folder' && !fault.isMendable)
  if (dryRun || isLocked || (isWell(found) && found.unfinished.length === 0)) return { found, left: undefined }
  await mendAll(layout, found, signal)
  return { found, left: await inspectStore(dir, signal) }
}

/** A folder that may not be written has no collector either. */
async function collectorLease(
  leases: Leases,
  isDry: boolean,
  signal: AbortSignal | undefined,
): Promise<Lease | undefined> {
  try {
    return await leases.hold(COLLECTOR_LEASE, { note: 'repairing', ...(signal === undefined ? {} : { signal }) })
  } catch (error) {
    const isUnwritable = sqliteCode(error) !== undefined || systemCode(error) !== undefined
    if (!isDry || !isUnwritable) throw error
    return undefined
  }
}

async function mendAll(layout: Layout, found: Inspection, signal: AbortSignal | undefined): Promise<void> {
  const { faults } = found
  const leases = fileLeases(layout.locks)
  mendFolder(layout, faults)
  for (const fault of faults) {
    signal?.throwIfAborted()
    if (fault.kind === 'ledger') mendLedger(layout, fault.file)
    if (fault.kind === 'journal') await mendSegment(layout, leases, fault)
    if (fault.kind === 'blob-tail') mendBlobTail(fault)
  }
  const rescued = await rescueIndex(layout, faults)
  await using store = await openLocalStore({ dir: layout.dir })
  using index = openIndexDb(layout.index, { readOnly: false, durability: 'fast' })
  await mendReach(index, layout, leases, faults)
  for (const fault of faults) {
    signal?.throwIfAborted()
    if (fault.kind === 'blob-file') await mendBlobFile(layout, index, fault)
  }
  const rows = [...faults, ...rowsOfMovedFiles(layout, faults)]
  const more = await removeWrongRows(index, layout, rows)
  await removeContents(layout, index, faults)
  await listUnlisted(index, layout, faults)
  for (const fault of faults) if (fault.kind === 'orphan') await adoptOrphan(store, layout, fault)
  await putBack(store, index, rescued)
  await putBack(store, index, more)
  for (const { action, instance } of found.lost.results) await store.actions.remove({ instance }, action)
  await mendCounters(index, faults)
  await sweepStaging(index, layout, store.leases, Date.now())
  await removeOrphanFiles(index, layout, Date.now(), signal)
}

/** An index that SQLite does not take for sound is set aside, with a copy of what can be read of it given back. */
async function rescueIndex(layout: Layout, faults: readonly Fault[]): Promise<Rescued> {
  const isBad = faults.some(({ kind }) => kind === 'index')
  if (!isBad || !existsSync(layout.index)) return { blobs: [], actions: [], records: [] }
  const rescued = rescueAll(layout)
  await using _ = await fileLeases(layout.locks).hold('index', { note: 'setting a damaged index aside' })
  abandonIndex(layout)
  return rescued
}

function rowsOfMovedFiles(layout: Layout, faults: readonly Fault[]): Fault[] {
  return faults.flatMap((fault) =>
    fault.kind === 'blob-file'
      ? [{ kind: 'row' as const, file: layout.index, table: 'blobs' as const, key: blobKey(fault.hash) }]
      : [],
  )
}

/** A row may be right in all but the SHA-256 of what it names. The journal is told, or an index made anew would name it again. */
async function removeContents(layout: Layout, index: IndexDb, faults: readonly Fault[]): Promise<void> {
  const hashes = faults.flatMap((fault) => (fault.kind === 'content' ? [fault.hash] : []))
  if (hashes.length === 0) return
  const leases = fileLeases(layout.locks)
  await using journal = openJournal({ layout, index, leases, durability: 'fast', now: Date.now })
  await journal.commit([{ kind: 'blobs-removed', hashes }], () => {
    for (const hash of hashes) index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(hash))
    index.raiseGeneration()
  })
}

/** Blobs first: a result is kept only with all of its blobs, and what it lacks makes it one of the lost. */
async function putBack(store: LocalStore, index: IndexDb, rescued: Rescued): Promise<void> {
  await Promise.all(rescued.blobs.map(({ digest, bytes }) => store.blobs.write(DEFAULT_SCOPE, digest, bytes)))
  for (const { action, instance, result } of rescued.actions) {
    const key = asActionDigest(action)
    if (index.sql('SELECT 1 FROM actions WHERE key=?').get(actionKey(instance, action.hash)) !== undefined) continue
    try {
      await store.actions.put({ instance }, key, ActionResult.decode(result))
    } catch (error) {
      if (!isCacheError(error) || error.code !== 'store.incomplete') throw error
    }
  }
  await putBackRecords(index, rescued)
}
