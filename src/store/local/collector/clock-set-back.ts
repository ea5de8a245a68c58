import type { IndexDb } from '../index-db.ts'
import { decodeActionRow, encodeActionRow } from '../rows.ts'

/** Clocks of one machine are seldom set by less, and nothing here is decided by less. */
const SLACK_MS = 3_600_000

/** A time that can only have been written before the clock was set back. */
export function isFuture(timeMs: number, nowMs: number): boolean {
  return timeMs > nowMs + SLACK_MS
}

/** One transaction for so many. */
const BATCH = 100

/**
 * Rows whose times are in the future are dated to now: how old they are nobody can tell, so they begin anew, neither older
 * than what was used since nor young for as long as the clock was ahead.
 */
export async function datedToNow(
  index: IndexDb,
  table: 'actions' | 'blobs',
  keys: readonly Uint8Array[],
  nowMs: number,
): Promise<void> {
  const date = table === 'blobs' ? dateBlob : dateAction
  for (let at = 0; at < keys.length; at += BATCH)
    await index.write(() => {
      for (const key of keys.slice(at, at + BATCH)) date(index, key, nowMs)
    })
}

function dateBlob(index: IndexDb, key: Uint8Array, nowMs: number): void {
  index.sql('UPDATE blobs SET touched=? WHERE hash=?').run(nowMs, key)
}

/** When it was made is in the row itself, under the row's checksum. */
function dateAction(index: IndexDb, key: Uint8Array, nowMs: number): void {
  const value = index.sql('SELECT value FROM actions WHERE key=?').get(key)?.[0] as Uint8Array | undefined
  const row = value && decodeActionRow(key, value)
  if (row === undefined) return
  const dated = encodeActionRow(key, { ...row, createdMs: Math.min(row.createdMs, nowMs) })
  index.sql('UPDATE actions SET value=?, touched=? WHERE key=?').run(dated, nowMs, key)
}
