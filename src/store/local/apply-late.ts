import { applyRecord, isFileInPlace } from './apply-record.ts'
import { placeOf } from './blob-place.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentPath } from './layout.ts'
import { readRecord } from './record-file.ts'
import { actionKey, blobKey, decodeActionRow } from './rows.ts'
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
    case 'file':
      if (isKeptElsewhere(index, layout, record.digest.hash, place)) return 'none'
      break
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

/** In a file that is as another record says, which is there: after a power cut the index may name one that is gone. */
function isKeptElsewhere(index: IndexDb, layout: Layout, hash: string, here: RecordPlace): boolean {
  const other = blobRecord(index, hash)
  if (other === undefined || (other.segment === here.segment && other.offset === here.offset)) return false
  const isThere = readRecord(segmentPath(layout, other.segment), other)?.kind === 'file'
  return isThere && isFileInPlace(index, layout, hash)
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
  return placeOf(index, blobKey(hash))?.record
}
