import { closeSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import type { BatchEntry } from '../contracts.ts'
import { decode } from './compression.ts'
import { openSegment, readExactly } from './record-file.ts'
import type { BlobPlace } from './rows.ts'
import { decodePack, packEntry } from './segment.ts'

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
  readonly signal?: AbortSignal | undefined
}

/** So much of a segment is read at once, gaps included; a range is decompressed while the one before it is used. */
const RANGE_BYTES = 1 << 20
/** Rather read so much in vain than read twice. */
const GAP_BYTES = 64 << 10

interface Range {
  readonly segment: number
  readonly offset: number
  end: number
  readonly records: Wanted[][]
}

interface OpenPack {
  readonly wanted: readonly Wanted[]
  readonly members: ReadonlyMap<number, { hash: Uint8Array; start: number; end: number }>
  readonly content: Uint8Array
}

/** The blobs in the order of the journal: each pack is read and decompressed once, neighbours in one read. */
export async function* readPacks(
  wanted: readonly Wanted[],
  reader: BatchReader,
): AsyncGenerator<BatchEntry, undefined> {
  const ranges = rangesOf(wanted)
  using files = new SegmentFiles(reader.pathOf)
  let ahead = ranges[0] && openRange(ranges[0], files)
  for (let i = 0; i < ranges.length; i++) {
    const packs = ahead as Promise<OpenPack | undefined>[]
    ahead = ranges[i + 1] && openRange(ranges[i + 1] as Range, files)
    for (let p = 0; p < packs.length; p++) {
      reader.signal?.throwIfAborted()
      const pack = await packs[p]
      for (const one of ranges[i]?.records[p] ?? []) yield { index: one.index, bytes: memberOf(pack, one, reader) }
    }
  }
}

function memberOf(pack: OpenPack | undefined, wanted: Wanted, reader: BatchReader): Uint8Array | undefined {
  const member = pack?.members.get(wanted.place.ordinal)
  if (pack !== undefined && member !== undefined && Buffer.from(member.hash).toString('hex') === wanted.digest.hash)
    return pack.content.subarray(member.start, member.end)
  reader.onDamage(wanted)
  return undefined
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

/** One read; then all its packs at once are checked and decompressed, on other threads. */
function openRange(range: Range, files: SegmentFiles): Promise<OpenPack | undefined>[] {
  const file = files.open(range.segment)
  const whole = file === undefined ? undefined : readExactly(file, range.offset, range.end - range.offset)
  return range.records.map((wanted) => {
    const { offset, recordBytes } = (wanted[0] as Wanted).place.record
    const bytes =
      whole?.subarray(offset - range.offset, offset - range.offset + recordBytes) ??
      // The file ends within the range: what lies before its end may be good.
      (file === undefined ? undefined : readExactly(file, offset, recordBytes))
    return openPack(bytes, wanted)
  })
}

async function openPack(bytes: Uint8Array | undefined, wanted: readonly Wanted[]): Promise<OpenPack | undefined> {
  const pack = bytes && decodePack(bytes)
  if (pack === undefined) return undefined
  const ordinals = new Set(wanted.map(({ place }) => place.ordinal))
  const members = new Map<number, { hash: Uint8Array; start: number; end: number }>()
  let start = 0
  for (let ordinal = 0; ordinal < pack.count; ordinal++) {
    const { hash, sizeBytes } = packEntry(pack.entries, ordinal)
    if (ordinals.has(ordinal)) members.set(ordinal, { hash, start, end: start + sizeBytes })
    start += sizeBytes
  }
  try {
    return { wanted, members, content: await decode(pack.codec, pack.body, start) }
  } catch {
    return undefined
  }
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
