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
  /** Bodies of action results are neither read nor checked either, and empty. */
  readonly headsOnly?: boolean
}

/** Read at a time: a hundred action results, or the head of a pack with some of its body. */
const WINDOW_BYTES = 64 << 10
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
    const window = new Window(file)
    let afterGap = false
    for (let at = options.from ?? 0; at < end; ) {
      const found = recordAt(window, at, { sizeBytes, headsOnly: options.headsOnly === true })
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
  window: Window,
  at: number,
  { sizeBytes, headsOnly }: { readonly sizeBytes: number; readonly headsOnly: boolean },
): { record: SegmentRecord; recordBytes: number } | undefined {
  const extent = recordExtent(window.view(at, RECORD_HEADER_BYTES))
  if (extent === undefined) return undefined
  const headEnd = RECORD_HEADER_BYTES + extent.headBytes
  const recordBytes = headEnd + extent.bodyBytes
  if (at + recordBytes > sizeBytes) return undefined
  const record = decodeRecordHead(window.view(at, headEnd))
  if (record?.kind !== 'action' || headsOnly) return record && { record, recordBytes }
  // A copy: whoever scans may keep it.
  const whole = decodeRecord(Buffer.from(window.view(at, recordBytes)))
  return whole && { record: whole, recordBytes }
}

/** What lies near each other in a file is read once. */
class Window {
  readonly #file: number
  readonly #bytes = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  #from = 0
  #to = 0

  constructor(file: number) {
    this.#file = file
  }

  /** So many bytes, fewer at the end of the file; good until the next call. */
  view(at: number, length: number): Buffer {
    if (length > WINDOW_BYTES) return readAt(this.#file, at, length)
    if (at < this.#from || at + length > this.#to) {
      this.#from = at
      this.#to = at + readSync(this.#file, this.#bytes, 0, WINDOW_BYTES, at)
    }
    return this.#bytes.subarray(at - this.#from, Math.min(at + length, this.#to) - this.#from)
  }
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
