import { closeSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import type { BatchEntry } from '../contracts.ts'
import { OpenPack } from './open-pack.ts'
import { openSegment, readExactly } from './record-file.ts'
import type { BlobPlace } from './rows.ts'
import type { RecordPlace } from './segment.ts'

/** A blob that was asked for and is in a pack. */
export interface Wanted {
  readonly index: number
  readonly digest: Digest
  readonly place: BlobPlace & { kind: 'pack' | 'inline' }
}

export interface BatchReader {
  readonly pathOf: (segment: number) => string
  /** Told of each blob that is not where it should be. */
  readonly onDamage: (wanted: Wanted) => void
  /** Told of each pack that was opened. */
  readonly onPack: (place: RecordPlace, pack: OpenPack) => void
  readonly signal?: AbortSignal | undefined
}

/** So much of a segment is read at once, gaps included. */
const RANGE_BYTES = 1 << 20
/** Rather read so much in vain than read twice. */
const GAP_BYTES = 64 << 10

interface Range {
  readonly segment: number
  readonly offset: number
  end: number
  readonly records: Wanted[][]
}

/**
 * The blobs in the order of the journal: neighbours in one read, each pack checked and decompressed once, when its first
 * blob is due. At once, and on this thread: a pack takes 30 to 50 us, and another thread as long to be told of it (measured).
 */
export function* readPacks(wanted: readonly Wanted[], reader: BatchReader): Generator<BatchEntry, undefined> {
  using files = new SegmentFiles(reader.pathOf)
  for (const range of rangesOf(wanted)) {
    reader.signal?.throwIfAborted()
    const recordBytes = readRange(range, files)
    for (const members of range.records) {
      const pack = openPack(members[0] as Wanted, recordBytes, reader)
      for (const one of members) yield { index: one.index, bytes: memberOf(pack, one, reader) }
    }
  }
}

function openPack({ place }: Wanted, recordBytes: (place: RecordPlace) => Uint8Array | undefined, reader: BatchReader) {
  const bytes = recordBytes(place.record)
  const pack = bytes && OpenPack.of(bytes)
  if (pack !== undefined) reader.onPack(place.record, pack)
  return pack
}

function memberOf(pack: OpenPack | undefined, wanted: Wanted, reader: BatchReader): Uint8Array | undefined {
  const bytes = pack?.member(wanted.place.ordinal, wanted.digest.hash)
  if (bytes === undefined) reader.onDamage(wanted)
  return bytes
}

function rangesOf(wanted: readonly Wanted[]): Range[] {
  const sorted = [...wanted].sort(
    (a, b) => a.place.record.segment - b.place.record.segment || a.place.record.offset - b.place.record.offset,
  )
  const ranges: Range[] = []
  let range: Range | undefined
  let lastOffset = -1
  for (const one of sorted) {
    const { segment, offset, recordBytes } = one.place.record
    if (range?.segment === segment && lastOffset === offset) {
      range.records.at(-1)?.push(one)
      continue
    }
    const fits =
      range?.segment === segment &&
      offset - range.end <= GAP_BYTES &&
      offset + recordBytes - range.offset <= RANGE_BYTES
    if (range === undefined || !fits) {
      range = { segment, offset, end: offset, records: [] }
      ranges.push(range)
    }
    range.end = Math.max(range.end, offset + recordBytes)
    range.records.push([one])
    lastOffset = offset
  }
  return ranges
}

/** One read for the range; gives the bytes of its records, as far as they are there. */
function readRange(range: Range, files: SegmentFiles): (place: RecordPlace) => Uint8Array | undefined {
  const file = files.open(range.segment)
  if (file === undefined) return () => undefined
  const whole = readExactly(file, range.offset, range.end - range.offset)
  return (record) =>
    // The file may end within the range: what lies before its end is as good as ever.
    whole === undefined
      ? readExactly(file, record.offset, record.recordBytes)
      : whole.subarray(record.offset - range.offset, record.offset - range.offset + record.recordBytes)
}

class SegmentFiles implements Disposable {
  readonly #pathOf: (segment: number) => string
  readonly #open = new Map<number, number | undefined>()

  constructor(pathOf: (segment: number) => string) {
    this.#pathOf = pathOf
  }

  open(segment: number): number | undefined {
    if (!this.#open.has(segment)) this.#open.set(segment, openSegment(this.#pathOf(segment)))
    return this.#open.get(segment)
  }

  [Symbol.dispose](): void {
    for (const file of this.#open.values()) if (file !== undefined) closeSync(file)
  }
}
