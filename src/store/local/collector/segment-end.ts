import { open } from 'node:fs/promises'
import type { IndexDb } from '../index-db.ts'
import { type Layout, segmentPath } from '../layout.ts'
import { segmentsOf } from '../rebuild.ts'
import { decodeBlobPlace } from '../rows.ts'
import { rowPages } from './row-pages.ts'

const ROWS_A_STEP = 400

/** Rows that point into the segment still: to records that were damaged, so that the blobs are missing. */
export async function forgetRows(index: IndexDb, segment: number, signal: AbortSignal | undefined): Promise<void> {
  const page = index.sql('SELECT hash, place FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?')
  const isHere = ([hash, value]: readonly unknown[]) =>
    decodeBlobPlace(hash as Uint8Array, value as Uint8Array)?.record.segment === segment
  for await (const rows of rowPages(page, ROWS_A_STEP, signal)) {
    const lost = rows.filter(isHere)
    if (lost.length > 0)
      await index.write(() => {
        const now = index.sql('SELECT hash, place FROM blobs WHERE hash=?')
        for (const [hash] of lost) {
          const row = now.get(hash as Uint8Array)
          if (row !== undefined && isHere(row)) index.sql('DELETE FROM blobs WHERE hash=?').run(hash as Uint8Array)
        }
        index.raiseGeneration()
      })
  }
}

/** Before what was copied to it goes elsewhere: a power cut must not take both. */
export async function syncSegment(layout: Layout, segment: number): Promise<void> {
  await using file = await open(segmentPath(layout, segment), 'r+')
  await file.datasync()
}

/**
 * The rows of segments whose files are gone. The highest number stays, so that it is not given again: a place that was
 * read from the index before would then be in another segment.
 */
export async function forgetLostSegments(index: IndexDb, layout: Layout): Promise<void> {
  const there = new Set(segmentsOf(layout))
  const known = index.sql('SELECT id FROM segments ORDER BY id').all()
  const lost = known.slice(0, -1).flatMap(([id]) => (there.has(Number(id)) ? [] : [Number(id)]))
  if (lost.length === 0) return
  await index.write(() => {
    for (const id of lost) index.sql('DELETE FROM segments WHERE id=?').run(id)
  })
}
