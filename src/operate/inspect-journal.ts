import { statSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { sha256Hex } from '../digest/sha256.ts'
import { packContent } from '../store/local/collector/collector-peek.ts'
import { type Layout, segmentPath } from '../store/local/layout.ts'
import { readRecord } from '../store/local/record-file.ts'
import { scanSegment } from '../store/local/salvage.ts'
import { RECORD_HEADER_BYTES, type RecordPlace, type SegmentRecord } from '../store/local/segment.ts'
import type { Fault } from './fault.ts'

type Pack = SegmentRecord & { kind: 'pack' }

export interface JournalInspector {
  readonly layout: Layout
  /** Up to which byte of a segment to look: what comes after it may be being written. */
  readonly endOf: (segment: number) => number
  /** Whether anybody would read the blob from this record; others are dead, whatever is in them. */
  readonly isUsed: (hash: string, place: RecordPlace) => boolean
  /** Whether a row of the index as it is names that record. */
  readonly isNamed: (record: SegmentRecord, place: RecordPlace) => boolean
  readonly onFault: (fault: Fault) => void
  readonly onRecord: (place: RecordPlace, hashedBytes: number) => void
  readonly signal?: AbortSignal | undefined
}

/** Every record of a segment, its checksums, and the SHA-256 of every blob that is read from it. */
export async function inspectSegment(segment: number, inspector: JournalInspector): Promise<void> {
  const { layout, endOf, onFault, onRecord, signal } = inspector
  const file = segmentPath(layout, segment)
  const sizeBytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const known = endOf(segment)
  const end = Math.min(known, sizeBytes)
  const bad = (offset: number, bytes: number) => onFault({ kind: 'journal', file, segment, offset, bytes })
  let at = 0
  for (const { record, place } of wholeRecords(file, segment, end, inspector.isNamed)) {
    // Less than a header between two records was none: what it is left of shows in the rows that look for it.
    if (place.offset - at >= RECORD_HEADER_BYTES) bad(at, place.offset - at)
    at = place.offset + place.recordBytes
    onRecord(place, record.kind === 'pack' ? await inspectPack(record, place, file, inspector) : 0)
    await turn(undefined, signal === undefined ? {} : { signal })
  }
  if (at < end) bad(at, end - at)
  // Where there is no room for a record any more, the file is to end before.
  const isShortTail = at < end && end === sizeBytes && end - at < RECORD_HEADER_BYTES
  const rightBytes = isShortTail ? at : Math.max(at, end)
  if (rightBytes !== known && known !== Number.POSITIVE_INFINITY)
    onFault({ kind: 'reach', file, segment, indexedBytes: known, rightBytes })
}

/**
 * Those whose checksums are right. Within one whose body is damaged others may lie, where bytes were moved: they count if the
 * index names them, since a blob, too, may hold what looks like a record.
 */
function* wholeRecords(
  file: string,
  segment: number,
  to: number,
  isNamed: JournalInspector['isNamed'],
): Generator<{ record: SegmentRecord; place: RecordPlace }> {
  let damagedTo = 0
  let next: number | undefined = 0
  while (next !== undefined) {
    const from: number = next
    next = undefined
    for (const { record, place } of scanSegment(file, segment, { from, to })) {
      // The scan leaves the bodies of packs unread.
      const whole = record.kind === 'pack' ? readRecord(file, place) : record
      if (whole !== undefined && (place.offset >= damagedTo || isNamed(whole, place))) {
        yield { record: whole, place }
        continue
      }
      if (whole === undefined && place.offset >= damagedTo) damagedTo = place.offset + place.recordBytes
      next = place.offset + 1
      break
    }
  }
}

/** Bytes hashed. */
async function inspectPack(pack: Pack, place: RecordPlace, file: string, inspector: JournalInspector): Promise<number> {
  const used = pack.digests.map(({ hash }) => inspector.isUsed(hash, place))
  if (!used.includes(true)) return 0
  const content = await packContent(pack).catch(() => undefined)
  let at = 0
  let hashed = 0
  pack.digests.forEach(({ hash, sizeBytes }, ordinal) => {
    const bytes = content?.subarray(at, at + sizeBytes)
    at += sizeBytes
    if (used[ordinal] !== true) return
    hashed += sizeBytes
    if (bytes === undefined || sha256Hex(bytes) !== hash) inspector.onFault({ kind: 'content', file, hash })
  })
  return hashed
}
