import { closeSync, openSync, statSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { checksumOf } from './content-checksum.ts'
import type { IndexDb } from './index-db.ts'
import { blobPath, type Layout, segmentPath } from './layout.ts'
import { segmentsOf } from './rebuild.ts'
import { readExactly, readRecord } from './record-file.ts'
import { type BlobPlace, decodeBlobPlace } from './rows.ts'
import type { SegmentRecord } from './segment.ts'

type FilePlace = BlobPlace & { kind: 'file' }

/**
 * Before a power cut the operating system had at most so much left to write: Linux begins after 30 s, and a slow disk with
 * much to write takes its time.
 */
const WRITE_BACK_MS = 600_000
const ROWS_A_STEP = 2_000

/**
 * After a power cut: makes the index forget large blobs whose files are not there, or not as long as they were; of those
 * written near the end the content is read, since it may be lost while the length is not.
 */
export async function verifyFiles(index: IndexDb, layout: Layout): Promise<void> {
  const sinceMs = lastAppendMs(layout) - WRITE_BACK_MS
  const lost: Uint8Array[] = []
  for await (const [key, place] of places(index))
    if (place.kind === 'file' && !isWhole(layout, key, place, sinceMs)) lost.push(key)
  if (lost.length === 0) return
  await index.write(() => {
    for (const key of lost) index.sql('DELETE FROM blobs WHERE hash=?').run(key)
    index.raiseGeneration()
  })
}

/** Whether a row is of a segment that is not there: after a power cut, a part of the index is older than the rest. */
export async function hasLostSegments(index: IndexDb, layout: Layout): Promise<boolean> {
  const there = new Set(segmentsOf(layout))
  for await (const [, place] of places(index)) if (!there.has(place.record.segment)) return true
  return false
}

async function* places(index: IndexDb): AsyncGenerator<[key: Uint8Array, place: BlobPlace]> {
  const next = index.sql(`SELECT hash, place FROM blobs WHERE hash > ? ORDER BY hash LIMIT ${ROWS_A_STEP}`)
  for (let after: Uint8Array = new Uint8Array(0); ; await turn()) {
    const rows = next.all(after) as [Uint8Array, Uint8Array][]
    for (const [key, value] of rows) {
      const place = decodeBlobPlace(key, value)
      if (place !== undefined) yield [key, place]
    }
    if (rows.length < ROWS_A_STEP) return
    after = rows.at(-1)?.[0] as Uint8Array
  }
}

function isWhole(layout: Layout, key: Uint8Array, place: FilePlace, sinceMs: number): boolean {
  const hash = Buffer.from(key).toString('hex')
  const path = blobPath(layout, hash, place.codec)
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats?.size !== place.storedBytes) return false
  if (stats.mtimeMs < sinceMs) return true
  const record = readRecord(segmentPath(layout, place.record.segment), place.record)
  if (record?.kind !== 'file' || record.digest.hash !== hash) return false
  return hasContent(path, record)
}

function hasContent(path: string, { chunks, checksum }: SegmentRecord & { kind: 'file' }): boolean {
  const file = openSync(path, 'r')
  try {
    let at = 0
    for (const { storedBytes, crc } of chunks) {
      const bytes = readExactly(file, at, storedBytes)
      if (bytes === undefined || checksumOf(checksum, bytes) !== crc) return false
      at += storedBytes
    }
    return true
  } finally {
    closeSync(file)
  }
}

function lastAppendMs(layout: Layout): number {
  const times = segmentsOf(layout).map((segment) => statSync(segmentPath(layout, segment)).mtimeMs)
  return Math.max(0, ...times)
}
