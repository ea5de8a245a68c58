import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { applyLate } from './apply-late.ts'
import { isFileInPlace } from './apply-record.ts'
import type { IndexDb } from './index-db.ts'
import { blobPath, type Layout, segmentOfStaging, segmentPath, stagingPath } from './layout.ts'
import { readExactly, readRecord } from './record-file.ts'
import { type FoundRecord, scanSegment } from './salvage.ts'
import { amendHeader, RECORD_HEADER_BYTES, type RecordPlace, recordExtent, type SegmentRecord } from './segment.ts'
import { highestStamp, raiseStamp, stampAfter } from './stamps.ts'

/**
 * Brings to its end what a writer left undone that died: for the holder of the segment's lease alone. Whole records
 * that the index does not know yet are put into it, a torn one at the end is cut off, large blobs that were announced
 * are renamed into place, and staging files of that writer are removed. Returns the segment's size.
 */
export async function recoverSegment(index: IndexDb, layout: Layout, segment: number): Promise<number> {
  const path = segmentPath(layout, segment)
  const start = indexedBytes(index, segment)
  const { found, isFollowed } = wholeRecords(path, segment, start)
  const torn = found.reduce((_, { place }) => place.offset + place.recordBytes, start)
  const end = isFollowed ? sizeOf(path) : torn
  await index.write(() => {
    commitLate(index, layout, found)
    setIndexed(index, segment, end)
  })
  if (sizeOf(path) > end) truncateSync(path, end)
  removeStaging(layout, segment)
  return end
}

/** Up to which byte the index knows the segment. */
export function indexedBytes(index: IndexDb, segment: number): number {
  return Number(index.sql('SELECT indexed FROM segments WHERE id=?').get(segment)?.[0] ?? 0)
}

/** Within the transaction that puts the records up to `bytes` into the index. */
export function setIndexed(index: IndexDb, segment: number, bytes: number): void {
  index
    .sql(
      'INSERT INTO segments (id, indexed, verified) VALUES (?, ?, 0) ON CONFLICT (id) DO UPDATE SET indexed=excluded.indexed',
    )
    .run(segment, bytes)
}

/** The segments whose writers have, or left, large blobs half-written. */
export function stagingSegments(layout: Layout): ReadonlySet<number> {
  mkdirSync(layout.tmp, { recursive: true, mode: 0o700 })
  return new Set(readdirSync(layout.tmp).flatMap((name) => segmentOfStaging(name) ?? []))
}

/**
 * Up to the first that is not whole: an append is one write, so that is where the writer died. `isFollowed`: there are whole
 * ones behind it, so nobody died there; what the index says of the segment's end is wrong, or bytes are damaged.
 */
function wholeRecords(path: string, segment: number, start: number): { found: FoundRecord[]; isFollowed: boolean } {
  const found: FoundRecord[] = []
  let isTorn = false
  for (const step of scanSegment(path, segment, { from: start })) {
    const isWhole = readRecord(path, step.place) !== undefined
    if (isWhole && (isTorn || step.afterGap)) return { found, isFollowed: true }
    if (isWhole) found.push(step)
    else isTorn = true
  }
  return { found, isFollowed: false }
}

/**
 * What counts of the records is committed now, so that it comes after what others committed since, as it does in the index;
 * what does not is void, and cannot come back when that is gone which it was older than.
 */
function commitLate(index: IndexDb, layout: Layout, found: readonly FoundRecord[]): void {
  const highestMs = highestStamp(index)
  const lateMs = stampAfter(highestMs, 0)
  const counting = found.map(({ record, place }) => {
    if (record.kind === 'file' && !isFileInPlace(index, layout, record.digest.hash))
      placeFile(layout, place.segment, record)
    return applyLate(index, layout, record, place)
  })
  let lastMs = highestMs
  found.forEach(({ record, place }, i) => {
    const isLate = record.stampMs <= highestMs
    if (counting[i] === 'none') amend(layout, place, 'void')
    else if (counting[i] === 'all' && isLate) amend(layout, place, { stampMs: lateMs })
    lastMs = Math.max(lastMs, isLate ? lateMs : record.stampMs)
  })
  raiseStamp(index, lastMs)
}

/** Changes a record where it lies. */
function amend(layout: Layout, place: RecordPlace, change: { readonly stampMs: number } | 'void'): void {
  const file = openSync(segmentPath(layout, place.segment), 'r+')
  try {
    const extent = recordExtent(readExactly(file, place.offset, RECORD_HEADER_BYTES) ?? NOTHING)
    const header = extent && readExactly(file, place.offset, RECORD_HEADER_BYTES + extent.headBytes)
    if (header === undefined) return
    amendHeader(header, change)
    writeSync(file, header, 0, RECORD_HEADER_BYTES, place.offset)
  } finally {
    closeSync(file)
  }
}

const NOTHING = new Uint8Array(0)

/** The writer died between its announcement and the rename; the staged file that is as long as announced is the one. */
function placeFile(layout: Layout, segment: number, record: SegmentRecord & { kind: 'file' }): void {
  const target = blobPath(layout, record.digest.hash, record.codec)
  const storedBytes = record.chunks.reduce((sum, chunk) => sum + chunk.storedBytes, 0)
  if (sizeOf(target) === storedBytes) return
  const staged = stagingPath(layout, segment, record.staging)
  if (sizeOf(staged) !== storedBytes) return
  // It may have died before it made the shard's folder.
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
  renameSync(staged, target)
}

function removeStaging(layout: Layout, segment: number): void {
  for (const name of readdirSync(layout.tmp))
    if (segmentOfStaging(name) === segment) rmSync(`${layout.tmp}/${name}`, { force: true })
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
