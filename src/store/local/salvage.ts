import { closeSync, fstatSync, readSync } from 'node:fs'
import { openSegment } from './record-file.ts'
import {
  decodeRecord,
  decodeRecordHead,
  RECORD_HEADER_BYTES,
  type RecordPlace,
  recordExtent,
  type SegmentRecord,
} from './segment.ts'

/** A record found in a segment, its place, and how far it can be trusted. */
export interface FoundRecord {
  readonly record: SegmentRecord
  readonly place: RecordPlace
  /**
   * Found by looking for a record's first bytes behind damage, so it may be a part of something else that looks like a
   * record: what it says of content has to be checked against the digest.
   */
  readonly afterGap: boolean
}

export interface ScanOptions {
  /** First byte looked at; must be the start of a record. */
  readonly from?: number
  /** Records that start at or after this byte are not looked at. */
  readonly to?: number
}

/** Most heads fit: a pack of 128 KiB seldom has more than 400 blobs. */
const WINDOW_BYTES = 16 << 10
const SEARCH_BYTES = 1 << 20
const MAGIC = Buffer.from('RCU1', 'latin1')

/**
 * The records of a segment file in order, over torn tails, holes and flipped bytes: where no record starts, the next
 * place is found at which one does. Bodies of packs are neither read nor checked (`record.body` is empty; read the place
 * for it); those of action results are. A missing file has no records.
 */
export function* scanSegment(path: string, segment: number, options: ScanOptions = {}): Generator<FoundRecord> {
  const file = openSegment(path)
  if (file === undefined) return
  try {
    const sizeBytes = fstatSync(file).size
    const end = Math.min(options.to ?? sizeBytes, sizeBytes)
    const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
    let afterGap = false
    for (let at = options.from ?? 0; at < end; ) {
      const found = recordAt(file, at, sizeBytes, window)
      if (found === undefined) {
        afterGap = true
        at = nextMagic(file, at + 1, end)
      } else {
        yield { record: found.record, place: { segment, offset: at, recordBytes: found.recordBytes }, afterGap }
        at += found.recordBytes
      }
    }
  } finally {
    closeSync(file)
  }
}

/** Undefined when there is none, its head is damaged, or it does not end within the file. */
function recordAt(
  file: number,
  at: number,
  sizeBytes: number,
  window: Buffer,
): { record: SegmentRecord; recordBytes: number } | undefined {
  const got = readSync(file, window, 0, window.length, at)
  const extent = recordExtent(window.subarray(0, got))
  if (extent === undefined) return undefined
  const headEnd = RECORD_HEADER_BYTES + extent.headBytes
  const recordBytes = headEnd + extent.bodyBytes
  if (at + recordBytes > sizeBytes) return undefined
  const head = headEnd <= got ? window.subarray(0, headEnd) : readAt(file, at, headEnd)
  const record = decodeRecordHead(head)
  if (record?.kind !== 'action') return record && { record, recordBytes }
  const whole = decodeRecord(readAt(file, at, recordBytes))
  return whole && { record: whole, recordBytes }
}

/** Where the next record may start, or `end`. */
function nextMagic(file: number, from: number, end: number): number {
  const buffer = Buffer.allocUnsafe(SEARCH_BYTES)
  for (let at = from; at < end; at += SEARCH_BYTES - MAGIC.length + 1) {
    const got = readSync(file, buffer, 0, Math.min(SEARCH_BYTES, end - at + MAGIC.length), at)
    const found = buffer.subarray(0, got).indexOf(MAGIC)
    if (found >= 0) return Math.min(at + found, end)
  }
  return end
}

function readAt(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  return bytes.subarray(0, readSync(file, bytes, 0, length, at))
}
