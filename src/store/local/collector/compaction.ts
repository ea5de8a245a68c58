import { statSync, unlinkSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import type { IndexDb } from '../index-db.ts'
import { type Layout, segmentLease, segmentPath } from '../layout.ts'
import { segmentsOf } from '../rebuild.ts'
import { recoverSegment } from '../recover.ts'
import { blobKey, decodeBlobPlace } from '../rows.ts'
import { scanSegment } from '../salvage.ts'
import type { SegmentRecord } from '../segment.ts'
import { syncFolder } from '../sync-folder.ts'
import { actionPlaces } from './action-census.ts'
import type { Collected } from './collector.ts'
import { SegmentCopy } from './compaction-copy.ts'
import { drainSegment } from './compaction-drain.ts'
import { isDiskFull } from './reserve.ts'
import { forgetLostSegments, forgetRows, syncSegment } from './segment-end.ts'

export interface CompactOptions {
  /** Whether room is wanted: then segments are copied that would not be worth it otherwise. */
  readonly isPressed: () => boolean
  readonly signal?: AbortSignal | undefined
}

/** Copying costs a write of what lives, so half of a segment is dead before it is done for its own sake. */
const MOSTLY_DEAD = 0.5
/** Below this not even a folder that is too large gains by it. */
const WORTH_LOOKING = 0.05

/**
 * Copies what lives out of segments that are mostly dead, and unlinks them: those most dead first, more of them as long
 * as room is wanted. Segments that a living process writes to are left; this process's own is exchanged for another if it
 * is one of them. For the holder of the collector's lease.
 */
export async function compactSegments(parts: Collected, options: CompactOptions): Promise<void> {
  await forgetLostSegments(parts.index, parts.layout)
  const candidates = await candidatesOf(parts, options.signal)
  let hasRotated = false
  for (const { segment, deadShare, rows } of candidates) {
    if (deadShare < MOSTLY_DEAD && !options.isPressed()) break
    try {
      if (await compactSegment(parts, segment, rows, options.signal)) continue
      if (hasRotated) continue
      hasRotated = true
      await parts.journal.rotate()
      await compactSegment(parts, segment, rows, options.signal)
    } catch (error) {
      if (!isDiskFull(error)) throw error
      await drainSegment(parts, segment, options.signal)
    }
  }
}

interface Candidate {
  readonly segment: number
  readonly deadShare: number
  /** How many rows of the index point into it. */
  readonly rows: number
}

/** Those worth looking at, the most dead first. */
async function candidatesOf(parts: Collected, signal: AbortSignal | undefined): Promise<Candidate[]> {
  const { layout, index } = parts
  const named = await namedBytes(index, signal)
  const found: Candidate[] = []
  for (const segment of segmentsOf(layout)) {
    const sizeBytes = statSync(segmentPath(layout, segment), { throwIfNoEntry: false })?.size ?? 0
    const { bytes, rows } = named.get(segment) ?? { bytes: 0, rows: 0 }
    if (sizeBytes === 0) continue
    // A record counts whole there, if only one of its blobs lives; so the share of the dead is at least this.
    const least = 1 - bytes / sizeBytes
    const deadShare = least >= MOSTLY_DEAD ? least : 1 - (await liveBytesOf(index, layout, segment)) / sizeBytes
    if (deadShare >= WORTH_LOOKING) found.push({ segment, deadShare, rows })
    await breathe(undefined, signal === undefined ? {} : { signal })
  }
  return found.sort((a, b) => b.deadShare - a.deadShare)
}

const ROWS_A_STEP = 400
/** Blobs whose rows are looked up between two turns of others; a pack may have hundreds. */
const LOOKS_A_STEP = 300

/** By segment: bytes of the records that some row names, and how many rows do. */
async function namedBytes(
  index: IndexDb,
  signal: AbortSignal | undefined,
): Promise<Map<number, { bytes: number; rows: number }>> {
  const named = new Map<number, { bytes: number; rows: number }>()
  const counted = new Set<number>()
  const sumOf = (segment: number) => {
    const sum = named.get(segment) ?? { bytes: 0, rows: 0 }
    named.set(segment, sum)
    return sum
  }
  const count = ({ segment, offset, recordBytes }: { segment: number; offset: number; recordBytes: number }) => {
    const sum = sumOf(segment)
    sum.rows++
    // Segments are far smaller than 4 GiB, and their numbers than 2 million.
    const record = segment * 2 ** 32 + offset
    if (counted.has(record)) return
    counted.add(record)
    sum.bytes += recordBytes
  }
  const next = index.sql(`SELECT hash, place FROM blobs WHERE hash > ? ORDER BY hash LIMIT ${ROWS_A_STEP}`)
  for (let after: Uint8Array = new Uint8Array(0); ; await breathe(undefined, signal === undefined ? {} : { signal })) {
    const rows = next.all(after)
    for (const [hash, value] of rows) {
      const place = decodeBlobPlace(hash as Uint8Array, value as Uint8Array)
      if (place !== undefined) count(place.record)
    }
    if (rows.length < ROWS_A_STEP) break
    after = rows.at(-1)?.[0] as Uint8Array
  }
  for await (const { segment, recordBytes } of actionPlaces(index, signal)) {
    const sum = sumOf(segment)
    sum.rows++
    sum.bytes += recordBytes
  }
  return named
}

/** As `namedBytes`, but of a pack only the share of those blobs that live. */
async function liveBytesOf(index: IndexDb, layout: Layout, segment: number): Promise<number> {
  const row = index.sql('SELECT place FROM blobs WHERE hash=?')
  let live = 0
  let scanned = 0
  for (const { record, place } of scanSegment(segmentPath(layout, segment), segment)) {
    scanned += blobsIn(record)
    if (scanned >= LOOKS_A_STEP) {
      scanned = 0
      await breathe()
    }
    if (record.kind === 'action') live += place.recordBytes
    if (record.kind !== 'pack' && record.kind !== 'file' && record.kind !== 'chunked') continue
    const digests = record.kind === 'pack' ? record.digests : [record.digest]
    let all = 0
    let named = 0
    for (const { hash, sizeBytes } of digests) {
      const key = blobKey(hash)
      const value = row.get(key)?.[0] as Uint8Array | undefined
      const now = value && decodeBlobPlace(key, value)
      const weight = record.kind === 'pack' ? sizeBytes + 1 : 1
      all += weight
      if (now?.record.segment === segment && now.record.offset === place.offset) named += weight
    }
    live += all === 0 ? 0 : (place.recordBytes * named) / all
  }
  return live
}

/** How many rows tell whether it lives. */
function blobsIn(record: SegmentRecord): number {
  return record.kind === 'pack' ? record.digests.length : 1
}

/** False when somebody writes to it. */
async function compactSegment(
  parts: Collected,
  segment: number,
  rows: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { index, layout, leases } = parts
  await using lease = await leases.tryHold(segmentLease(segment))
  if (lease === undefined) return false
  await recoverSegment(index, layout, segment)
  const copy = new SegmentCopy(parts, segment)
  let scanned = 0
  for (const found of scanSegment(segmentPath(layout, segment), segment)) {
    signal?.throwIfAborted()
    scanned += blobsIn(found.record)
    if (scanned >= LOOKS_A_STEP) {
      scanned = 0
      await breathe()
    }
    await copy.add(found)
  }
  await copy.flush()
  if (copy.movedRows < rows) await forgetRows(index, segment, signal)
  for (const target of copy.targets) syncSegment(layout, target)
  syncFolder(layout.journal)
  unlinkSync(segmentPath(layout, segment))
  await forgetLostSegments(index, layout)
  return true
}
