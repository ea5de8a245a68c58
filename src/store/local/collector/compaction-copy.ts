import { setImmediate as breathe } from 'node:timers/promises'
import type { Digest } from '../../../digest/digest.ts'
import { placeOf } from '../blob-place.ts'
import { reportCorruption } from '../corrupt.ts'
import { segmentPath } from '../layout.ts'
import { segmentsOf } from '../rebuild.ts'
import { readRecord } from '../record-file.ts'
import { actionKey, type BlobPlace, blobKey, decodeActionRow, encodeActionRow, encodeBlobPlace } from '../rows.ts'
import { type FoundRecord, scanSegment } from '../salvage.ts'
import type { RecordPlace, SegmentRecord } from '../segment.ts'
import type { Collected } from './collected.ts'
import { packContent } from './collector-peek.ts'
import { samePlace } from './collector-rows.ts'

type Pack = SegmentRecord & { readonly kind: 'pack' }

interface Move {
  readonly from: RecordPlace
  readonly record: SegmentRecord
}

/** A row that a move concerns. */
interface MovedRow extends Move {
  readonly to: RecordPlace
  /** Of a blob; undefined: the action result. */
  readonly blob?: { readonly digest: Digest; readonly ordinal: number }
}

/** One append for so much, or for so many rows. */
const BATCH_BYTES = 4 << 20
const BATCH_ROWS = 400
/** Rows that one transaction points elsewhere, each on a page of its own in a large index: others who write wait for that. */
const ROWS_AT_ONCE = 100
/** Blobs looked up between two turns of others; a pack of tiny ones has thousands. */
const LOOKS_A_STEP = 400
/** A pack of which so much lives is copied as it is: compressing it again would save less than it costs. */
const MOSTLY_ALIVE = 0.75

/**
 * Copies records to this process's segment with the times they had, and then points the rows there that still point to
 * where they were. Killed in between, a record is there twice, which says the same as once.
 */
export class SegmentCopy {
  /** Segments that were copied to. */
  readonly targets = new Set<number>()
  /** Rows that no longer point into the segment. */
  movedRows = 0
  readonly #parts: Collected
  readonly #segment: number
  readonly #oldestElsewhereMs: number
  #moves: Move[] = []
  #bytes = 0
  #rows = 0

  constructor(parts: Collected, segment: number) {
    this.#parts = parts
    this.#segment = segment
    this.#oldestElsewhereMs = Math.min(...startsOf(parts, segment))
  }

  /** Takes over of a record what lives. */
  async add(found: FoundRecord): Promise<void> {
    const record = await this.#living(found)
    if (record === undefined) return
    this.#moves.push({ from: found.place, record })
    this.#bytes += found.place.recordBytes
    this.#rows += record.kind === 'pack' ? record.digests.length : 1
    if (this.#bytes >= BATCH_BYTES || this.#rows >= BATCH_ROWS) await this.flush()
  }

  async flush(): Promise<void> {
    const moves = this.#moves
    this.#moves = []
    this.#bytes = 0
    this.#rows = 0
    if (moves.length === 0) return
    const { journal, index } = this.#parts
    const places = await journal.commit(
      moves.map(({ record }) => record),
      (all) => all,
    )
    for (const { segment } of places) this.targets.add(segment)
    const rows = moves.flatMap((move, i) => rowsOf(move, places[i] as RecordPlace))
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      await breathe()
      await index.write(() => {
        for (const row of rows.slice(at, at + ROWS_AT_ONCE)) this.#point(row)
      })
    }
    await breathe()
  }

  async #living({ record, place }: FoundRecord): Promise<SegmentRecord | undefined> {
    switch (record.kind) {
      case 'pack':
        return this.#livingPack(record, place)
      case 'file':
      case 'chunked':
        return this.#placeOf(record.digest, place) && record
      case 'action':
        return this.#actionRow(record, place) && record
      case 'action-removed':
        return this.#isNeeded(record.stampMs) ? record : undefined
      case 'blobs-removed':
        return this.#livingRemoval(record)
      case 'void':
        return undefined
    }
  }

  async #livingPack({ digests }: Pack, place: RecordPlace): Promise<SegmentRecord | undefined> {
    const living: number[] = []
    for (const [ordinal, digest] of digests.entries()) {
      if (this.#placeOf(digest, place, ordinal) !== undefined) living.push(ordinal)
      if (ordinal % LOOKS_A_STEP === LOOKS_A_STEP - 1) await breathe()
    }
    if (living.length === 0) return undefined
    const path = segmentPath(this.#parts.layout, this.#segment)
    const whole = readRecord(path, place)
    if (whole?.kind !== 'pack') {
      reportCorruption('a record of the journal', `${path}:${place.offset}`)
      return undefined
    }
    const all = digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const alive = living.reduce((sum, ordinal) => sum + (digests[ordinal] as Digest).sizeBytes, 0)
    return alive >= all * MOSTLY_ALIVE ? whole : this.#repacked(whole, living)
  }

  async #repacked(pack: Pack, living: readonly number[]): Promise<SegmentRecord | undefined> {
    try {
      const content = await packContent(pack)
      const pieces: Uint8Array[] = []
      let offset = 0
      const isLiving = new Set(living)
      pack.digests.forEach(({ sizeBytes }, ordinal) => {
        if (isLiving.has(ordinal)) pieces.push(content.subarray(offset, offset + sizeBytes))
        offset += sizeBytes
      })
      const { codec, stored } = await this.#parts.compression.encode(Buffer.concat(pieces))
      const digests = living.map((ordinal) => pack.digests[ordinal] as Digest)
      return { kind: 'pack', stampMs: pack.stampMs, codec, digests, body: stored }
    } catch {
      return undefined
    }
  }

  /** A removal counts as long as an older record of the same could be anywhere: a rebuild would bring it back. */
  #isNeeded(stampMs: number): boolean {
    return this.#oldestElsewhereMs <= stampMs
  }

  #livingRemoval(record: SegmentRecord & { kind: 'blobs-removed' }): SegmentRecord | undefined {
    if (!this.#isNeeded(record.stampMs)) return undefined
    const row = this.#parts.index.sql('SELECT 1 FROM blobs WHERE hash=?')
    const hashes = record.hashes.filter((hash) => row.get(blobKey(hash)) === undefined)
    return hashes.length === 0 ? undefined : { ...record, hashes }
  }

  #point({ from, record, to, blob }: MovedRow): void {
    if (blob !== undefined) this.#pointBlob(blob.digest, from, to, blob.ordinal)
    else if (record.kind === 'action') this.#pointAction(record, from, to)
  }

  #pointBlob(digest: Digest, from: RecordPlace, to: RecordPlace, ordinal: number): void {
    const now = this.#placeOf(digest, from)
    if (now === undefined) return
    const key = blobKey(digest.hash)
    const place = 'ordinal' in now ? { ...now, record: to, ordinal } : { ...now, record: to }
    this.#parts.index.sql('UPDATE blobs SET place=? WHERE hash=?').run(encodeBlobPlace(key, place), key)
    this.movedRows++
  }

  #pointAction(record: SegmentRecord & { kind: 'action' }, from: RecordPlace, to: RecordPlace): void {
    const row = this.#actionRow(record, from)
    if (row === undefined) return
    const key = actionKey(record.instance, record.action.hash)
    this.#parts.index
      .sql('UPDATE actions SET value=? WHERE key=?')
      .run(encodeActionRow(key, { ...row, record: to }), key)
    this.movedRows++
  }

  /** Where the index says the blob is, if that is here. */
  #placeOf({ hash }: Digest, here: RecordPlace, ordinal?: number): BlobPlace | undefined {
    const key = blobKey(hash)
    const place = placeOf(this.#parts.index, key)
    if (place === undefined || !samePlace(place.record, here)) return undefined
    return ordinal === undefined || ('ordinal' in place && place.ordinal === ordinal) ? place : undefined
  }

  #actionRow({ instance, action }: SegmentRecord & { kind: 'action' }, here: RecordPlace) {
    const key = actionKey(instance, action.hash)
    const value = this.#parts.index.sql('SELECT value FROM actions WHERE key=?').get(key)?.[0] as Uint8Array | undefined
    const row = value && decodeActionRow(key, value)
    return row && samePlace(row.record, here) ? row : undefined
  }
}

/** Removals have none. */
function rowsOf(move: Move, to: RecordPlace): MovedRow[] {
  const { record } = move
  if (record.kind === 'action') return [{ ...move, to }]
  const digests = record.kind === 'pack' ? record.digests : 'digest' in record ? [record.digest] : []
  return digests.map((digest, ordinal) => ({ ...move, to, blob: { digest, ordinal } }))
}

/** For each other segment, the time of its first record: nothing in it that was not copied there is older. */
function startsOf({ layout }: Collected, segment: number): number[] {
  return segmentsOf(layout).flatMap((other) => {
    if (other === segment) return []
    const first = scanSegment(segmentPath(layout, other), other).next().value
    return first === undefined ? [] : [first.record.stampMs]
  })
}
