import type { Digest } from '../../../digest/digest.ts'
import type { IndexDb } from '../index-db.ts'
import { decodeBlobPlace } from '../rows.ts'
import { decodeDigests, type RecordPlace } from '../segment.ts'
import { datedToNow, isFuture } from './clock-set-back.ts'
import { rowPages } from './row-pages.ts'

/**
 * All blobs of the index as they were when it was read, in plain arrays: a million blobs are 60 MB, not the ten times
 * that a map of objects would take. Blobs are called by number; numbers are in the order of the hashes.
 */
export interface Census {
  readonly count: number
  /** The number of a blob, or -1. */
  numberOf(hash: Uint8Array): number
  /** 32 bytes, a view. */
  hashOf(number: number): Uint8Array
  contentBytesOf(number: number): number
  /** What goes free on disk when this blob leaves: its file, or its share of the record it lies in. */
  storedBytesOf(number: number): number
  touchedMsOf(number: number): number
  /** The blobs that this one is made of; undefined for most. */
  chunksOf(number: number): readonly Digest[] | undefined
  /** The record of the journal that it lies in: equal numbers, same record. */
  recordOf(number: number): number
  /** Keys of rows that do not check out. */
  readonly damaged: readonly Uint8Array[]
}

/** Reading, checking and noting these takes some milliseconds at most. */
const ROWS_A_STEP = 400
const HASH_BYTES = 32

/** Reads the index in small steps; other work of the process goes on between them. */
export async function takeCensus(
  index: IndexDb,
  options: { readonly nowMs: number; readonly isDry: boolean; readonly signal?: AbortSignal | undefined },
): Promise<Census> {
  const { nowMs, isDry, signal } = options
  let census: GrowingCensus | undefined
  const page = index.sql('SELECT hash, place, touched FROM blobs WHERE hash > ? ORDER BY hash LIMIT ?')
  for await (const rows of rowPages<BlobColumns>(page, ROWS_A_STEP, signal)) {
    const late = rows.filter(([, , touchedMs]) => isFuture(touchedMs, nowMs))
    if (late.length > 0 && !isDry)
      await datedToNow(
        index,
        'blobs',
        late.map(([hash]) => hash),
        nowMs,
      )
    census ??= new GrowingCensus(roomFor(rows.length, rows.at(-1)?.[0]))
    for (const [hash, place, touchedMs] of rows) census.add(hash, place, isFuture(touchedMs, nowMs) ? nowMs : touchedMs)
  }
  return census ?? new GrowingCensus(0)
}

type BlobColumns = readonly [hash: Uint8Array, place: Uint8Array, touchedMs: number]

/**
 * How many there may be: hashes are spread evenly, so the first four hundred tell it to a twentieth. What is too much is
 * never touched, and so is no memory; what is too little would be copied at a million entries, while others wait.
 */
function roomFor(found: number, last: Uint8Array | undefined): number {
  if (found < ROWS_A_STEP || last === undefined) return ROWS_A_STEP
  const share = Buffer.from(last).readUIntBE(0, 6) / 2 ** 48
  return Math.min(Math.ceil((found / Math.max(share, 2 ** -48)) * 1.25), MOST_ROOM)
}

/** Beyond that it grows, once in as many. */
const MOST_ROOM = 1 << 22

class GrowingCensus implements Census {
  count = 0
  readonly damaged: Uint8Array[] = []
  #hashes: Buffer
  #content: Float64Array<ArrayBuffer>
  #stored: Float64Array<ArrayBuffer>
  #touched: Float64Array<ArrayBuffer>
  #records: Uint32Array<ArrayBuffer>
  /** By segment and offset: one map of a million would hold others up whenever it grows. */
  readonly #recordNumbers = new Map<number, Map<number, number>>()
  readonly #recordBytes: number[] = []
  readonly #recordContent: number[] = []
  readonly #chunkLists = new Map<number, Uint8Array>()

  constructor(room: number) {
    this.#hashes = Buffer.alloc(HASH_BYTES * room)
    this.#content = new Float64Array(room)
    this.#stored = new Float64Array(room)
    this.#touched = new Float64Array(room)
    this.#records = new Uint32Array(room)
  }

  add(hash: Uint8Array, value: Uint8Array, touchedMs: number): void {
    const place = decodeBlobPlace(hash, value)
    if (place === undefined || hash.length !== HASH_BYTES) {
      this.damaged.push(hash)
      return
    }
    if (this.count === this.#content.length) this.#grow()
    const number = this.count++
    this.#hashes.set(hash, number * HASH_BYTES)
    this.#content[number] = place.sizeBytes
    this.#touched[number] = touchedMs
    const record = this.#recordNumber(place.record)
    this.#records[number] = record
    if (place.kind === 'file') this.#stored[number] = place.storedBytes
    if (place.kind === 'chunked') this.#chunkLists.set(number, place.chunkList)
    this.#recordContent[record] = (this.#recordContent[record] as number) + place.sizeBytes + 1
  }

  numberOf(hash: Uint8Array): number {
    const wanted = Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength)
    const start = wanted.readUInt32BE(0)
    let low = 0
    let high = this.count - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const at = middle * HASH_BYTES
      // The first four bytes decide nearly always, and are compared without a call.
      const order =
        this.#hashes.readUInt32BE(at) - start || this.#hashes.compare(wanted, 0, HASH_BYTES, at, at + HASH_BYTES)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  hashOf(number: number): Uint8Array {
    return this.#hashes.subarray(number * HASH_BYTES, (number + 1) * HASH_BYTES)
  }

  contentBytesOf(number: number): number {
    return this.#content[number] as number
  }

  /** Records shared by several blobs are shared out by size; one more byte each, so that empty ones take something. */
  storedBytesOf(number: number): number {
    const record = this.#records[number] as number
    const share = (this.contentBytesOf(number) + 1) / (this.#recordContent[record] as number)
    return (this.#stored[number] as number) + (this.#recordBytes[record] as number) * share
  }

  touchedMsOf(number: number): number {
    return this.#touched[number] as number
  }

  recordOf(number: number): number {
    return this.#records[number] as number
  }

  chunksOf(number: number): readonly Digest[] | undefined {
    const list = this.#chunkLists.get(number)
    return list && decodeDigests(list)
  }

  #recordNumber({ segment, offset, recordBytes }: RecordPlace): number {
    const numbers = this.#recordNumbers.get(segment) ?? new Map<number, number>()
    this.#recordNumbers.set(segment, numbers)
    let number = numbers.get(offset)
    if (number === undefined) {
      number = this.#recordBytes.length
      numbers.set(offset, number)
      this.#recordBytes.push(recordBytes)
      this.#recordContent.push(0)
    }
    return number
  }

  #grow(): void {
    const hashes = Buffer.alloc(this.#hashes.length * 2)
    this.#hashes.copy(hashes)
    this.#hashes = hashes
    this.#content = doubled(this.#content)
    this.#stored = doubled(this.#stored)
    this.#touched = doubled(this.#touched)
    const records = new Uint32Array(this.#records.length * 2)
    records.set(this.#records)
    this.#records = records
  }
}

function doubled(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const longer = new Float64Array(array.length * 2)
  longer.set(array)
  return longer
}
