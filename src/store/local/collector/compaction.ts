import { statSync, unlinkSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { isDiskFull } from '../explained.ts'
import type { IndexDb } from '../index-db.ts'
import { type Layout, segmentLease, segmentPath } from '../layout.ts'
import { segmentsOf } from '../rebuild.ts'
import { indexedBytes, recoverSegment } from '../recover.ts'
import type { BlobPlace } from '../rows.ts'
import { scanSegment } from '../salvage.ts'
import type { SegmentRecord } from '../segment.ts'
import { syncFolder } from '../sync-folder.ts'
import { actionPlaces } from './action-census.ts'
import type { Collected } from './collected.ts'
import { SegmentCopy } from './compaction-copy.ts'
import { drainSegment } from './compaction-drain.ts'
import { blobPlaces } from './row-pages.ts'
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
    const { bytes, actionBytes, rows, weights } = named.get(segment) ?? nothingNamed()
    if (sizeBytes < indexedBytes(index, segment)) {
      // Who cut off what he had copied was killed, or it is damaged: nobody writes to it any more.
      found.push({ segment, deadShare: 1, rows })
      continue
    }
    if (sizeBytes === 0) continue
    // A record counts whole there, if only one of its blobs lives; so the share of the dead is at least this.
    const least = 1 - bytes / sizeBytes
    const deadShare =
      least >= MOSTLY_DEAD ? least : 1 - (actionBytes + (await liveBlobBytesOf(layout, segment, weights))) / sizeBytes
    if (deadShare >= WORTH_LOOKING) found.push({ segment, deadShare, rows })
    await breathe(undefined, signal === undefined ? {} : { signal })
  }
  return found.sort((a, b) => b.deadShare - a.deadShare)
}

/** Names that are read between two turns of others, or looked up in the index; a pack may have hundreds. */
const LOOKS_A_STEP = 400

interface NamedSegment {
  /** Of the records that some row names. */
  bytes: number
  /** Those of them that are action results. */
  actionBytes: number
  /** How many rows point into it. */
  rows: number
  /**
   * By offset of a record: the weights of the blobs whose rows name it. A map for each segment: to grow one for all of a
   * million records would hold others up for a tenth of a second.
   */
  readonly weights: Map<number, number>
}

async function namedBytes(index: IndexDb, signal: AbortSignal | undefined): Promise<ReadonlyMap<number, NamedSegment>> {
  const segments = new Map<number, NamedSegment>()
  const sumOf = (segment: number) => {
    const sum = segments.get(segment) ?? nothingNamed()
    segments.set(segment, sum)
    return sum
  }
  const count = ({ record: { segment, offset, recordBytes }, sizeBytes }: BlobPlace) => {
    const sum = sumOf(segment)
    sum.rows++
    const weight = sum.weights.get(offset)
    if (weight === undefined) sum.bytes += recordBytes
    sum.weights.set(offset, (weight ?? 0) + weightOf(sizeBytes))
  }
  for await (const places of blobPlaces(index, signal)) for (const place of places) count(place)
  for await (const { segment, recordBytes } of actionPlaces(index, signal)) {
    const sum = sumOf(segment)
    sum.rows++
    sum.bytes += recordBytes
    sum.actionBytes += recordBytes
  }
  return segments
}

function nothingNamed(): NamedSegment {
  return { bytes: 0, actionBytes: 0, rows: 0, weights: new Map() }
}

/** Of each record of blobs the share of those that rows name. */
async function liveBlobBytesOf(layout: Layout, segment: number, weights: NamedSegment['weights']): Promise<number> {
  let live = 0
  let scanned = 0
  for (const { record, place } of scanSegment(segmentPath(layout, segment), segment, { headsOnly: true })) {
    scanned += namesIn(record)
    if (scanned >= LOOKS_A_STEP) {
      scanned = 0
      await breathe()
    }
    if (record.kind !== 'pack' && record.kind !== 'file' && record.kind !== 'chunked') continue
    const digests = record.kind === 'pack' ? record.digests : [record.digest]
    const all = digests.reduce((sum, { sizeBytes }) => sum + weightOf(sizeBytes), 0)
    live += all === 0 ? 0 : place.recordBytes * Math.min(1, (weights.get(place.offset) ?? 0) / all)
  }
  return live
}

/** What a blob counts within its record: empty ones something, too. */
function weightOf(sizeBytes: number): number {
  return sizeBytes + 1
}

/** How many rows tell whether it lives. */
function namesIn(record: SegmentRecord): number {
  if (record.kind === 'pack') return record.digests.length
  return record.kind === 'blobs-removed' ? record.hashes.length : 1
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
    scanned += namesIn(found.record)
    if (scanned >= LOOKS_A_STEP) {
      scanned = 0
      await breathe()
    }
    await copy.add(found)
  }
  await copy.flush()
  if (copy.movedRows < rows) await forgetRows(index, segment, signal)
  for (const target of copy.targets) await syncSegment(layout, target)
  syncFolder(layout.journal)
  unlinkSync(segmentPath(layout, segment))
  await forgetLostSegments(index, layout)
  return true
}
