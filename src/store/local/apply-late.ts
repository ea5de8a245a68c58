import { applyRecord, isFileInPlace } from './apply-record.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentPath } from './layout.ts'
import { readRecord } from './record-file.ts'
import { actionKey, blobKey, decodeActionRow, decodeBlobPlace } from './rows.ts'
import type { RecordPlace, SegmentRecord } from './segment.ts'

/**
 * As `applyRecord`, of a record that others may have committed after: what a dead writer left undone, or an index has lost.
 * What they put since stays, and so does their file of a large blob, which may be encoded differently. Says how much of it
 * counts: a removal of several blobs may do so in part.
 */
export function applyLate(
  index: IndexDb,
  layout: Layout,
  record: SegmentRecord,
  place: RecordPlace,
): 'all' | 'part' | 'none' {
  const isOlder = (other: RecordPlace | undefined) => other === undefined || stampAt(layout, other) <= record.stampMs
  switch (record.kind) {
    case 'void':
      return 'none'
    case 'file': {
      const other = blobRecord(index, record.digest.hash)
      if (isFileInPlace(index, layout, record.digest.hash) && !isSame(other, place)) return 'none'
      break
    }
    case 'action':
    case 'action-removed':
      if (!isOlder(actionPlace(index, record))) return 'none'
      break
    case 'blobs-removed': {
      const hashes = record.hashes.filter((hash) => isOlder(blobRecord(index, hash)))
      applyRecord(index, layout, { ...record, hashes }, place)
      return hashes.length === record.hashes.length ? 'all' : 'part'
    }
  }
  applyRecord(index, layout, record, place)
  return 'all'
}

function isSame(a: RecordPlace | undefined, b: RecordPlace): boolean {
  return a?.segment === b.segment && a.offset === b.offset
}

/** Of a record that is damaged or gone nobody can say that it is later. */
function stampAt(layout: Layout, place: RecordPlace): number {
  return readRecord(segmentPath(layout, place.segment), place)?.stampMs ?? Number.NEGATIVE_INFINITY
}

function actionPlace(
  index: IndexDb,
  { instance, action }: SegmentRecord & { kind: 'action' | 'action-removed' },
): RecordPlace | undefined {
  const key = actionKey(instance, action.hash)
  const value = index.sql('SELECT value FROM actions WHERE key=?').get(key)?.[0] as Uint8Array | undefined
  return value && decodeActionRow(key, value)?.record
}

function blobRecord(index: IndexDb, hash: string): RecordPlace | undefined {
  const key = blobKey(hash)
  const value = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
  return value && decodeBlobPlace(key, value)?.record
}
