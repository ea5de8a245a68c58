import { existsSync } from 'node:fs'
import { CacheError } from '../errors.ts'
import { accountErrors } from '../store/local/collector/accounts.ts'
import { isBusy } from '../store/local/index-busy.ts'
import { type IndexDb, openIndexDb } from '../store/local/index-db.ts'
import { createTables, INDEX_VERSION, indexVersion } from '../store/local/index-schema.ts'
import { type Layout, layoutOf, segmentPath } from '../store/local/layout.ts'
import { openToLook } from '../store/local/open-index.ts'
import { rebuildIndex, segmentsOf } from '../store/local/rebuild.ts'
import { actionKey, blobKey, decodeActionRow, decodeBlobPlace } from '../store/local/rows.ts'
import { scanSegment } from '../store/local/salvage.ts'
import type { RecordPlace, SegmentRecord } from '../store/local/segment.ts'
import { sqliteCode } from '../store/local/sqlite-errors.ts'
import type { Fault, Inspection } from './fault.ts'
import { inspectBlobFiles, type Orphan } from './inspect-blob-files.ts'
import { inspectFolder } from './inspect-folder.ts'
import { inspectIndex } from './inspect-index.ts'
import { inspectSegment } from './inspect-journal.ts'
import { inspectLedger } from './inspect-ledger.ts'
import { lostBy } from './inspect-lost.ts'

/**
 * Reads everything in a cache folder, as others go on using it, and says what is not as it was written. Changes nothing, and
 * opens no store, which would set aside what it finds damaged. The index is compared with one made anew of the journal, in
 * a temporary database; what is written while it looks is left out. For the holder of the collector's lease, or what is
 * collected meanwhile would be taken for lost.
 */
export async function inspectStore(dir: string, signal?: AbortSignal): Promise<Inspection> {
  const layout = layoutOf(dir)
  const faults: Fault[] = [...inspectFolder(layout), ...inspectLedger(dir)]
  const onFault = (fault: Fault) => void faults.push(fault)
  const opened = openKept(layout)
  if ('why' in opened) onFault({ kind: 'index', file: layout.index, why: opened.why })
  using kept = 'index' in opened ? opened.index : undefined
  const ends = kept && endsOf(kept)
  const endOf = (segment: number) => (ends === undefined ? Number.POSITIVE_INFINITY : (ends.get(segment) ?? 0))
  using rebuilt = openIndexDb('', { readOnly: false, durability: 'fast' })
  await createTables(rebuilt)
  await rebuildIndex(rebuilt, layout, { signal, endOf })
  const indexes = kept === undefined ? [rebuilt] : [kept, rebuilt]
  const whole = new Set<number>()
  const seen = { segments: 0, records: 0, results: 0, blobs: 0, hashedBytes: 0 }
  for (const segment of segmentsOf(layout)) {
    seen.segments++
    await inspectSegment(segment, {
      layout,
      endOf,
      isUsed: (hash, place) => indexes.some((index) => isAt(index, hash, place)),
      isNamed: (record, place) => kept !== undefined && isNamed(kept, record, place),
      onFault,
      onRecord(place, hashedBytes) {
        whole.add(numberOf(place))
        seen.records++
        seen.hashedBytes += hashedBytes
      },
      signal,
    })
  }
  const onBlob = (bytes: number) => {
    seen.hashedBytes += bytes
  }
  const orphans: Orphan[] = []
  const onOrphan = (orphan: Orphan) => void orphans.push(orphan)
  await inspectBlobFiles({ layout, indexes, onFault, onBlob, onOrphan, signal })
  if (kept !== undefined) {
    await inspectIndex({ layout, kept, rebuilt, isWhole: (place) => whole.has(numberOf(place)), onFault, signal })
  }
  seen.results = countOf(kept ?? rebuilt, 'actions')
  seen.blobs = countOf(kept ?? rebuilt, 'blobs')
  const { lost, needed } = await lostBy({ layout, kept, rebuilt, faults, orphans, signal })
  faults.push(...needed)
  if (kept !== undefined) {
    kept.sql('COMMIT').run()
    for (const why of accountsOf(kept, layout)) onFault({ kind: 'accounts', file: layout.index, why })
  }
  return { faults, lost, seen, unfinished: kept === undefined ? [] : unfinishedOf(layout, endOf) }
}

/** In a read transaction: one moment of the index, whatever others write. */
function openKept(layout: Layout): { index: IndexDb } | { why: string } | Record<never, never> {
  if (!existsSync(layout.index)) return segmentsOf(layout).length === 0 ? {} : { why: 'it is not there' }
  let index: IndexDb | undefined
  try {
    index = openToLook(layout)
    index.sql('BEGIN').run()
    const version = indexVersion(index)
    const found = version === INDEX_VERSION ? String(index.sql('PRAGMA integrity_check(1)').get()?.[0]) : 'ok'
    if (version === INDEX_VERSION && found === 'ok') return { index }
    index[Symbol.dispose]()
    if (version > 0 && version < INDEX_VERSION) return {}
    // SQLite names the database first, and there is but one.
    return { why: found === 'ok' ? `its version reads ${version}` : found.replace(/^\*\*\*.*\*\*\*\s*/, '') }
  } catch (error) {
    index?.[Symbol.dispose]()
    if (sqliteCode(error) === undefined) throw error
    if (isBusy(error))
      throw new CacheError('store.busy', 'The index of the cache is locked.', { hint: 'Try again.', cause: error })
    return { why: error instanceof Error ? error.message : String(error) }
  }
}

function endsOf(kept: IndexDb): ReadonlyMap<number, number> {
  const rows = kept.sql('SELECT id, indexed FROM segments').all()
  return new Map(rows.map(([id, indexed]) => [Number(id), Number(indexed)]))
}

function accountsOf(kept: IndexDb, layout: Layout): string[] {
  const generation = kept.sql('SELECT generation FROM state WHERE id=1').get()?.[0]
  const wrong = typeof generation === 'number' && generation >= 1 ? [] : ['the counter of removals is gone']
  return [...wrong, ...accountErrors(kept, layout, { files: false })]
}

function countOf(index: IndexDb, table: 'actions' | 'blobs'): number {
  return Number(index.sql(`SELECT count(*) FROM ${table}`).get()?.[0] ?? 0)
}

/** Whether somebody who reads the blob reads that record. */
function isAt(index: IndexDb, hash: string, place: RecordPlace): boolean {
  const key = blobKey(hash)
  const row = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
  const at = row && decodeBlobPlace(key, row)
  return at?.record.segment === place.segment && at.record.offset === place.offset
}

function isNamed(index: IndexDb, record: SegmentRecord, place: RecordPlace): boolean {
  if (record.kind === 'action') {
    const key = actionKey(record.instance, record.action.hash)
    const value = index.sql('SELECT value FROM actions WHERE key=?').get(key)?.[0] as Uint8Array | undefined
    const row = value && decodeActionRow(key, value)
    return row?.record.segment === place.segment && row.record.offset === place.offset
  }
  const digests = 'digests' in record ? record.digests : 'digest' in record ? [record.digest] : []
  return digests.some(({ hash }) => isAt(index, hash, place))
}

/** Segments are far smaller than 4 GiB, and their numbers than 2 million. */
function numberOf({ segment, offset }: RecordPlace): number {
  return segment * 2 ** 32 + offset
}

function unfinishedOf(layout: Layout, endOf: (segment: number) => number): Inspection['unfinished'] {
  return segmentsOf(layout).flatMap((segment) => {
    const file = segmentPath(layout, segment)
    let records = 0
    for (const { afterGap } of scanSegment(file, segment, { from: endOf(segment) })) if (!afterGap) records++
    return records === 0 ? [] : [{ file, records }]
  })
}
