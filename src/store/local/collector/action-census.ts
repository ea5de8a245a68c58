import type { IndexDb } from '../index-db.ts'
import { datedToNow, isFuture } from './clock-set-back.ts'
import { rowPages } from './row-pages.ts'

/**
 * All action results of the index as they were when it was read, in plain arrays: 64 bytes each, and 44 once it is decided who leaves. Called by number; numbers
 * are in the order of the keys.
 */
export interface ActionCensus {
  readonly count: number
  /** The row's key. */
  keyOf(number: number): Uint8Array
  createdMsOf(number: number): number
  touchedMsOf(number: number): number
  /** How often it was used, its making included. */
  usesOf(number: number): number
  /** The eviction policy's age when it was last used. */
  ageOf(number: number): number
  /** Content of all it names, with its own record. */
  sizeBytesOf(number: number): number
  /** 0 when nobody knows. */
  costMsOf(number: number): number
  /** Lets go what only decides who leaves: from here on keys, sizes and times of use are left. */
  forgetWorth(): void
}

export interface CensusOptions {
  /** How many there may be: room for so many is taken at once. */
  readonly expected: number
  readonly nowMs: number
  /** Nothing is written, not even what is dated in the future. */
  readonly isDry: boolean
  readonly signal?: AbortSignal | undefined
}

/** Reading these takes a few milliseconds; then others have their turn. */
const ROWS_A_STEP = 500
const HASH_BYTES = 32
/** What `rows.ts` puts before an encoded result; the result itself is not wanted here, nor is its checksum looked at. */
const HEAD = 'substr(value, 1, 56)'

export async function takeActionCensus(index: IndexDb, options: CensusOptions): Promise<ActionCensus> {
  const { nowMs, isDry, signal } = options
  const census = new Rows(Math.ceil(options.expected * 1.02) + 100)
  const page = index.sql(`SELECT key, ${HEAD}, touched, hits, clock FROM actions WHERE key > ? ORDER BY key LIMIT ?`)
  for await (const rows of rowPages<ActionColumns>(page, ROWS_A_STEP, signal)) {
    const late = rows.filter(([, head, touchedMs]) => isFuture(touchedMs, nowMs) || isFuture(createdMsIn(head), nowMs))
    if (late.length > 0 && !isDry)
      await datedToNow(
        index,
        'actions',
        late.map(([key]) => key),
        nowMs,
      )
    for (const row of rows) census.add(row, nowMs)
  }
  return census
}

/** Where the journal has each action result: for who only counts. Heads alone are read, unchecked. */
export async function* actionPlaces(
  index: IndexDb,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly segment: number; readonly recordBytes: number }> {
  const page = index.sql(`SELECT key, ${HEAD} FROM actions WHERE key > ? ORDER BY key LIMIT ?`)
  for await (const rows of rowPages<readonly [key: Uint8Array, head: Uint8Array]>(page, ROWS_A_STEP, signal))
    for (const [, head] of rows) {
      if (head.length < HEAD_BYTES) continue
      const row = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
      yield { segment: row.readUInt32LE(4), recordBytes: row.readUInt32LE(8) }
    }
}

type ActionColumns = [key: Uint8Array, head: Uint8Array, touchedMs: number, hits: number, age: number]

class Rows implements ActionCensus {
  count = 0
  readonly #instances = new Map<number, Uint8Array>()
  #hashes: Buffer
  #touchedMs: Float64Array
  #sizes: Float32Array
  /** Seconds are exact enough for a time to live. */
  #createdS: Uint32Array
  #uses: Uint32Array
  #ages: Float64Array
  #costs: Float32Array

  constructor(room: number) {
    this.#hashes = Buffer.alloc(room * HASH_BYTES)
    this.#touchedMs = new Float64Array(room)
    this.#sizes = new Float32Array(room)
    this.#createdS = new Uint32Array(room)
    this.#uses = new Uint32Array(room)
    this.#ages = new Float64Array(room)
    this.#costs = new Float32Array(room)
  }

  add([key, head, touchedMs, hits, age]: ActionColumns, nowMs: number): void {
    if (key.length < HASH_BYTES || head.length < HEAD_BYTES) return
    if (this.count * HASH_BYTES === this.#hashes.length) this.#grow()
    const number = this.count++
    this.#hashes.set(key.subarray(0, HASH_BYTES), number * HASH_BYTES)
    if (key.length > HASH_BYTES) this.#instances.set(number, key)
    const row = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
    const createdMs = row.readDoubleLE(32)
    this.#touchedMs[number] = isFuture(touchedMs, nowMs) || isFuture(createdMs, nowMs) ? nowMs : touchedMs
    this.#createdS[number] = positive(Math.min(createdMs, nowMs)) / 1000
    this.#uses[number] = hits + 1
    this.#ages[number] = positive(age)
    this.#sizes[number] = positive(row.readDoubleLE(48)) + row.readUInt32LE(8)
    this.#costs[number] = positive(row.readDoubleLE(40))
  }

  keyOf(number: number): Uint8Array {
    return this.#instances.get(number) ?? this.#hashes.subarray(number * HASH_BYTES, (number + 1) * HASH_BYTES)
  }

  createdMsOf(number: number): number {
    return (this.#createdS[number] as number) * 1000
  }

  touchedMsOf(number: number): number {
    return this.#touchedMs[number] as number
  }

  usesOf(number: number): number {
    return this.#uses[number] as number
  }

  ageOf(number: number): number {
    return this.#ages[number] as number
  }

  sizeBytesOf(number: number): number {
    return this.#sizes[number] as number
  }

  costMsOf(number: number): number {
    return this.#costs[number] as number
  }

  forgetWorth(): void {
    this.#createdS = new Uint32Array(0)
    this.#uses = new Uint32Array(0)
    this.#ages = new Float64Array(0)
    this.#costs = new Float32Array(0)
  }

  #grow(): void {
    const hashes = Buffer.alloc(this.#hashes.length * 2)
    this.#hashes.copy(hashes)
    this.#hashes = hashes
    this.#touchedMs = twice(this.#touchedMs, Float64Array)
    this.#sizes = twice(this.#sizes, Float32Array)
    this.#createdS = twice(this.#createdS, Uint32Array)
    this.#uses = twice(this.#uses, Uint32Array)
    this.#ages = twice(this.#ages, Float64Array)
    this.#costs = twice(this.#costs, Float32Array)
  }
}

function twice<T extends Float64Array | Float32Array | Uint32Array>(array: T, make: new (length: number) => T): T {
  const longer = new make(array.length * 2)
  longer.set(array)
  return longer
}

const HEAD_BYTES = 56

function createdMsIn(head: Uint8Array): number {
  return head.length < HEAD_BYTES ? 0 : Buffer.from(head.buffer, head.byteOffset, head.byteLength).readDoubleLE(32)
}

/** A damaged row may say anything. */
function positive(value: number): number {
  return value > 0 && Number.isFinite(value) ? value : 0
}
