import { mkdirSync, readdirSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { dirname } from 'node:path'
import { applyRecord } from './apply-record.ts'
import type { IndexDb } from './index-db.ts'
import { blobPath, type Layout, segmentOfStaging, segmentPath, stagingPath } from './layout.ts'
import { readRecord } from './record-file.ts'
import { blobKey, decodeBlobPlace } from './rows.ts'
import { type FoundRecord, scanSegment } from './salvage.ts'
import type { SegmentRecord } from './segment.ts'

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
  for (const { record } of found)
    if (record.kind === 'file' && !isKept(index, layout, record.digest.hash)) placeFile(layout, segment, record)
  await index.write(() => {
    for (const { record, place } of found)
      if (record.kind !== 'file' || !isKept(index, layout, record.digest.hash))
        applyRecord(index, layout, record, place)
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

/** Another writer has kept the blob meanwhile: in a file that may be encoded differently, as its own record says. */
function isKept(index: IndexDb, layout: Layout, hash: string): boolean {
  const key = blobKey(hash)
  const value = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
  const place = value && decodeBlobPlace(key, value)
  return place?.kind === 'file' && sizeOf(blobPath(layout, hash, place.codec)) === place.storedBytes
}

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
