import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { applyRecord } from './apply-record.ts'
import { reportCorruption } from './corrupt.ts'
import type { IndexDb } from './index-db.ts'
import { type Layout, segmentOfName, segmentPath } from './layout.ts'
import { setIndexed } from './recover.ts'
import { scanSegment } from './salvage.ts'
import { decodeRecord, type RecordPlace, type SegmentRecord } from './segment.ts'
import { raiseStamp } from './stamps.ts'

/** What a rebuild found. */
export interface RebuildReport {
  readonly segments: number
  readonly records: number
  /** Bytes of the journal that are no whole record. */
  readonly damagedBytes: number
}

export interface RebuildOptions {
  readonly signal?: AbortSignal | undefined
  /** Records of a segment from this byte on are left out; undefined: none are. */
  readonly endOf?: (segment: number) => number | undefined
}

interface Dated {
  readonly stampMs: number
  readonly place: RecordPlace
  readonly afterGap: boolean
}

const RECORDS_A_STEP = 200
/** Far below the 256 that macOS gives a process. */
const MAX_OPEN = 64

/**
 * Fills an index whose tables are empty from the journal and the files in `blobs/`: what records say later in time wins
 * over what they say earlier, whichever segments they are in, and what was removed stays away. Torn ends, holes and
 * flipped bytes cost the records they are in and no others. For the one process that holds the right to build the index;
 * killed half-way, it is to be done again from empty tables.
 */
export async function rebuildIndex(
  index: IndexDb,
  layout: Layout,
  { signal, endOf }: RebuildOptions = {},
): Promise<RebuildReport> {
  const segments = segmentsOf(layout)
  const records: Dated[] = []
  const ends = new Map<number, number>()
  let damagedBytes = 0
  for (const segment of segments) {
    const survey = await surveySegment(layout, segment, { signal, to: endOf?.(segment) })
    for (const dated of survey.records) records.push(dated)
    ends.set(segment, survey.endBytes)
    damagedBytes += survey.damagedBytes
  }
  // Stable, so records of one time stay in the order of the journal.
  records.sort((a, b) => a.stampMs - b.stampMs)
  await applyAll(index, layout, records, signal)
  await index.write(() => {
    for (const [segment, bytes] of ends) setIndexed(index, segment, bytes)
    raiseStamp(index, records.at(-1)?.stampMs ?? 0)
  }, signal)
  return { segments: segments.length, records: records.length, damagedBytes }
}

/** The numbers of the segments that are there, in order. */
export function segmentsOf(layout: Layout): number[] {
  const numbers = readdirSync(layout.journal).map(segmentOfName)
  return numbers.filter((number) => number !== undefined).sort((a, b) => a - b)
}

async function surveySegment(
  layout: Layout,
  segment: number,
  { signal, to }: { signal: AbortSignal | undefined; to: number | undefined },
): Promise<{ records: Dated[]; endBytes: number; damagedBytes: number }> {
  const path = segmentPath(layout, segment)
  const records: Dated[] = []
  let endBytes = 0
  let damagedBytes = 0
  for (const { record, place, afterGap } of scanSegment(path, segment, to === undefined ? {} : { to })) {
    if (place.offset > endBytes) {
      damagedBytes += place.offset - endBytes
      reportCorruption('a part of the journal', `${path} at ${endBytes}`)
    }
    records.push({ stampMs: record.stampMs, place, afterGap })
    endBytes = place.offset + place.recordBytes
    if (records.length % RECORDS_A_STEP === 0) await breathe(undefined, signal === undefined ? {} : { signal })
  }
  return { records, endBytes, damagedBytes }
}

async function applyAll(
  index: IndexDb,
  layout: Layout,
  records: readonly Dated[],
  signal: AbortSignal | undefined,
): Promise<void> {
  using segments = new OpenSegments(layout)
  for (let at = 0; at < records.length; at += RECORDS_A_STEP) {
    await index.write(() => {
      for (const { place } of records.slice(at, at + RECORDS_A_STEP)) {
        const record = segments.read(place)
        if (record !== undefined) applyRecord(index, layout, record, place)
      }
    }, signal)
  }
}

/** Records in the order of time jump between the segments of processes that wrote at the same time; few at once. */
class OpenSegments implements Disposable {
  readonly #layout: Layout
  readonly #files = new Map<number, number>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  read(place: RecordPlace): SegmentRecord | undefined {
    const bytes = Buffer.allocUnsafe(place.recordBytes)
    const got = readSync(this.#file(place.segment), bytes, 0, bytes.length, place.offset)
    return decodeRecord(bytes.subarray(0, got))
  }

  #file(segment: number): number {
    const known = this.#files.get(segment)
    if (known !== undefined) return known
    if (this.#files.size >= MAX_OPEN) this[Symbol.dispose]()
    const file = openSync(segmentPath(this.#layout, segment), 'r')
    this.#files.set(segment, file)
    return file
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) closeSync(file)
    this.#files.clear()
  }
}
