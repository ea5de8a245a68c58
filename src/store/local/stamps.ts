import { crc32c } from '../../digest/crc32c.ts'
import type { IndexDb } from './index-db.ts'

/**
 * Stamps order the records of all segments, so that a rebuild ends with what the index said: each commit's is above those of
 * all commits before it, by whichever process. They are the clock's milliseconds as long as that goes forward.
 */

/** Representable beside milliseconds for the next hundred years, and a thousand commits a millisecond. */
const STEP_MS = 2 ** -10
const VALUE_BYTES = 12

/** That of the last commit; 0 when it is not known: then the clock alone orders. */
export function highestStamp(index: IndexDb): number {
  const value = index.sql('SELECT stamp FROM state WHERE id=1').get()?.[0]
  if (!(value instanceof Uint8Array) || value.length !== VALUE_BYTES) return 0
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return bytes.readUInt32LE(8) === crc32c(bytes.subarray(0, 8)) ? bytes.readDoubleLE(0) : 0
}

/** Within the transaction that makes records of up to this stamp visible. */
export function raiseStamp(index: IndexDb, stampMs: number): void {
  const bytes = Buffer.allocUnsafe(VALUE_BYTES)
  bytes.writeDoubleLE(stampMs, 0)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 8)), 8)
  index.sql('UPDATE state SET stamp=? WHERE id=1').run(bytes)
}

/** The next stamp when the highest is known. */
export function stampAfter(highestMs: number, nowMs: number): number {
  return Math.max(nowMs, highestMs + STEP_MS)
}

/** Within a write transaction, for what it says and a record will say later: above all that is committed by now. */
export function takeStamp(index: IndexDb, nowMs: number): number {
  const stampMs = stampAfter(highestStamp(index), nowMs)
  raiseStamp(index, stampMs)
  return stampMs
}
