import { closeSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { placeOf } from './blob-place.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentPath } from './layout.ts'
import { openSegment, readExactly } from './record-file.ts'
import { blobKey, decodeBlobPlace, encodeBlobPlace } from './rows.ts'
import { decodeRecord, type RecordPlace } from './segment.ts'

/**
 * Reads every record of a segment from `fromOffset` on that blobs in the index depend on, and makes the index forget
 * the blobs whose record does not check out; large ones are to be read before their files are shared. Returns how many those were. Goes through the whole table of blobs: for
 * after damage or a power cut, not for every day.
 */
export async function verifySegment(index: IndexDb, layout: Layout, segment: number, fromOffset = 0): Promise<number> {
  const records = await recordsInUse(index, segment, fromOffset)
  const file = openSegment(segmentPath(layout, segment))
  const damaged: Buffer[] = []
  const files: Buffer[] = []
  try {
    for (const { place, keys } of records.values()) {
      const bytes = file === undefined ? undefined : readExactly(file, place.offset, place.recordBytes)
      const record = bytes && decodeRecord(bytes)
      const names = record?.kind === 'pack' ? record.digests.map(({ hash }) => hash) : []
      if (record?.kind === 'file' || record?.kind === 'chunked') names.push(record.digest.hash)
      if (record?.kind === 'file') files.push(...keys)
      for (const key of keys) if (!names.includes(key.toString('hex'))) damaged.push(key)
      await turn()
    }
  } finally {
    if (file !== undefined) closeSync(file)
  }
  if (damaged.length > 0) await index.write(() => forgetAll(index, segment, damaged))
  if (files.length > 0) await index.write(() => doubtFiles(index, files))
  return damaged.length
}

/** What a power cut takes from a file does not show in how it looks, so none is shared before it was read again. */
function doubtFiles(index: IndexDb, keys: readonly Buffer[]): void {
  for (const key of keys) {
    const place = placeOf(index, key)
    if (place?.kind !== 'file' || place.verified === undefined) continue
    const value = encodeBlobPlace(key, { ...place, verified: undefined })
    index.sql('UPDATE blobs SET place=? WHERE hash=?').run(value, key)
  }
}

async function recordsInUse(
  index: IndexDb,
  segment: number,
  fromOffset: number,
): Promise<Map<number, { place: RecordPlace; keys: Buffer[] }>> {
  const records = new Map<number, { place: RecordPlace; keys: Buffer[] }>()
  const page = index.sql('SELECT hash, place FROM blobs WHERE hash>? ORDER BY hash LIMIT 5000')
  for (let last: Uint8Array = new Uint8Array(0); ; ) {
    const rows = page.all(last) as unknown as [Uint8Array, Uint8Array][]
    for (const [key, value] of rows) {
      const place = decodeBlobPlace(key, value)
      if (place === undefined || place.record.segment !== segment || place.record.offset < fromOffset) continue
      const record = records.get(place.record.offset) ?? { place: place.record, keys: [] }
      record.keys.push(Buffer.from(key))
      records.set(place.record.offset, record)
    }
    const end = rows.at(-1)
    if (end === undefined) return records
    last = end[0]
    await turn()
  }
}

/** Those that have not moved to another segment meanwhile. */
function forgetAll(index: IndexDb, segment: number, keys: readonly Buffer[]): void {
  for (const key of keys) {
    const place = placeOf(index, key)
    if (place === undefined || place.record.segment === segment)
      index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(key.toString('hex')))
  }
  index.raiseGeneration()
}
