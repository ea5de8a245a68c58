import { setImmediate as breathe } from 'node:timers/promises'
import type { IndexDb } from '../index-db.ts'
import { datedToNow, isFuture } from './clock-set-back.ts'

/**
 * All action results of the index as they were when it was read, in plain arrays: 64 bytes each. Called by number; numbers
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
  const page = index.sql(
    `SELECT key, ${HEAD}, touched, hits, clock FROM actions WHERE key > ? ORDER BY key LIMIT ${ROWS_A_STEP}`,
  )
  for (let after: Uint8Array = new Uint8Array(0); ; await breathe(undefined, signal === undefined ? {} : { signal })) {
    const rows = page.all(after) as unknown as ActionColumns[]
    const late = rows.filter(([, head, touchedMs]) => isFuture(touchedMs, nowMs) || isFuture(createdMsIn(head), nowMs))
    if (late.length > 0 && !isDry)
      await datedToNow(
        index,
        'actions',
        late.map(([key]) => key),
        nowMs,
      )
    for (const row of rows) census.add(row, nowMs)
    if (rows.length < ROWS_A_STEP) return census
    after = rows.at(-1)?.[0] as Uint8Array
  }
}

/** Where the journal has each action result: for who only counts. Heads alone are read, unchecked. */
export async function* actionPlaces(
  index: IndexDb,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly segment: number; readonly recordBytes: number }> {
  const page = index.sql(`SELECT key, ${HEAD} FROM actions WHERE key > ? ORDER BY key LIMIT ${ROWS_A_STEP}`)
  for (let after: Uint8Array = new Uint8Array(0); ; await breathe(undefined, signal === undefined ? {} : { signal })) {
    const rows = page.all(after) as unknown as [key: Uint8Array, head: Uint8Array][]
    for (const [, head] of rows) {
      if (head.length < HEAD_BYTES) continue
      const row = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
      yield { segment: row.readUInt32LE(4), recordBytes: row.readUInt32LE(8) }
    }
    if (rows.length < ROWS_A_STEP) return
    after = rows.at(-1)?.[0] as Uint8Array
  }
}

type ActionColumns = [key: Uint8Array, head: Uint8Array, touchedMs: number, hits: number, age: number]

class Rows implements ActionCensus {
  count = 0
  readonly #instances = new Map<number, Uint8Array>()
  #hashes: Buffer
  /** By column, then by number. */
  #columns: Float64Array<ArrayBuffer>[]

  constructor(room: number) {
    this.#hashes = Buffer.alloc(room * HASH_BYTES)
    this.#columns = Array.from({ length: COLUMNS }, () => new Float64Array(room))
  }

  add([key, head, touchedMs, hits, age]: ActionColumns, nowMs: number): void {
    if (key.length < HASH_BYTES || head.length < HEAD_BYTES) return
    if (this.count * HASH_BYTES === this.#hashes.length) this.#grow()
    const number = this.count++
    this.#hashes.set(key.subarray(0, HASH_BYTES), number * HASH_BYTES)
    if (key.length > HASH_BYTES) this.#instances.set(number, key)
    const row = Buffer.from(head.buffer, head.byteOffset, head.byteLength)
    const touched = isFuture(touchedMs, nowMs) || isFuture(createdMsIn(head), nowMs) ? nowMs : touchedMs
    const facts = [
      Math.min(createdMsIn(head), nowMs),
      touched,
      hits + 1,
      positive(age),
      positive(row.readDoubleLE(48)) + row.readUInt32LE(8),
      positive(row.readDoubleLE(40)),
    ]
    facts.forEach((fact, column) => {
      ;(this.#columns[column] as Float64Array)[number] = fact
    })
  }

  keyOf(number: number): Uint8Array {
    return this.#instances.get(number) ?? this.#hashes.subarray(number * HASH_BYTES, (number + 1) * HASH_BYTES)
  }

  createdMsOf(number: number): number {
    return this.#fact(0, number)
  }

  touchedMsOf(number: number): number {
    return this.#fact(1, number)
  }

  usesOf(number: number): number {
    return this.#fact(2, number)
  }

  ageOf(number: number): number {
    return this.#fact(3, number)
  }

  sizeBytesOf(number: number): number {
    return this.#fact(4, number)
  }

  costMsOf(number: number): number {
    return this.#fact(5, number)
  }

  #fact(column: number, number: number): number {
    return (this.#columns[column] as Float64Array)[number] as number
  }

  #grow(): void {
    const hashes = Buffer.alloc(this.#hashes.length * 2)
    this.#hashes.copy(hashes)
    this.#hashes = hashes
    this.#columns = this.#columns.map((column) => {
      const longer = new Float64Array(column.length * 2)
      longer.set(column)
      return longer
    })
  }
}

const COLUMNS = 6
const HEAD_BYTES = 56

function createdMsIn(head: Uint8Array): number {
  return head.length < HEAD_BYTES ? 0 : Buffer.from(head.buffer, head.byteOffset, head.byteLength).readDoubleLE(32)
}

/** A damaged row may say anything. */
function positive(value: number): number {
  return value > 0 && Number.isFinite(value) ? value : 0
}
