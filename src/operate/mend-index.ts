import type { Digest } from '../digest/digest.ts'
import { sha256Hex } from '../digest/sha256.ts'
import type { Leases } from '../store/contracts.ts'
import { applyLate } from '../store/local/apply-late.ts'
import { mendAccounts } from '../store/local/collector/accounts.ts'
import { type IndexDb, openIndexDb } from '../store/local/index-db.ts'
import { type Layout, segmentLease, segmentPath } from '../store/local/layout.ts'
import { segmentsOf } from '../store/local/rebuild.ts'
import { readRecord } from '../store/local/record-file.ts'
import { recoverSegment } from '../store/local/recover.ts'
import { decodeActionRow, decodeBlobPlace, decodeRecordRow } from '../store/local/rows.ts'
import { sqliteCode } from '../store/local/sqlite-errors.ts'
import type { Fault } from './fault.ts'
import { isRightRow } from './inspect-index.ts'

/** What rows hold that the journal has lost: they keep small blobs, results, and what is known of workspaces. */
export interface Rescued {
  readonly blobs: { readonly digest: Digest; readonly bytes: Uint8Array }[]
  readonly actions: { readonly action: Digest; readonly instance: string; readonly result: Uint8Array }[]
  readonly records: { readonly key: string; readonly value: Uint8Array; readonly touchedMs: number }[]
}

/** As much of an index as can still be read, up to the first page that cannot: of each table from both ends. */
export function rescueAll(layout: Layout): Rescued {
  const rescued: Rescued = { blobs: [], actions: [], records: [] }
  const index = openAnyway(layout)
  if (index === undefined) return rescued
  try {
    for (const order of ['', ' DESC'] as const) {
      eachReadable(index, `SELECT hash, place FROM blobs ORDER BY hash${order}`, ([key, value]) =>
        rescueBlob(rescued, key as Uint8Array, value as Uint8Array),
      )
      eachReadable(index, `SELECT key, value FROM actions ORDER BY key${order}`, ([key, value]) =>
        rescueAction(rescued, key as Uint8Array, value as Uint8Array),
      )
      eachReadable(index, `SELECT key, value, touched FROM records ORDER BY key${order}`, ([key, value, touched]) => {
        const isGood = decodeRecordRow(String(key), value as Uint8Array) !== undefined
        if (isGood) rescued.records.push({ key: String(key), value: value as Uint8Array, touchedMs: Number(touched) })
      })
    }
  } finally {
    index[Symbol.dispose]()
  }
  return rescued
}

/** Takes out the rows that are wrong, unless they were made right meanwhile; what they hold that is right is given back. */
export async function removeWrongRows(index: IndexDb, layout: Layout, faults: readonly Fault[]): Promise<Rescued> {
  const rescued: Rescued = { blobs: [], actions: [], records: [] }
  for (const fault of faults) {
    if (fault.kind !== 'row') continue
    const { table, key } = fault
    await index.write(() => {
      const value = index.sql(SELECT[table]).get(key)?.[0] as Uint8Array | undefined
      if (value === undefined || (table !== 'records' && isRightRow(layout, table, key as Uint8Array, value))) return
      if (table === 'records' && decodeRecordRow(String(key), value) !== undefined) return
      if (table === 'blobs') rescueBlob(rescued, key as Uint8Array, value)
      if (table === 'actions') rescueAction(rescued, key as Uint8Array, value)
      index.sql(DELETE[table]).run(key)
      if (table === 'blobs') index.raiseGeneration()
    })
  }
  return rescued
}

/** Takes in what the journal has and the index has not. */
export async function listUnlisted(index: IndexDb, layout: Layout, faults: readonly Fault[]): Promise<void> {
  const places = new Map<string, (Fault & { kind: 'unlisted' })['place']>()
  for (const fault of faults)
    if (fault.kind === 'unlisted') places.set(`${fault.place.segment}:${fault.place.offset}`, fault.place)
  for (const place of places.values()) {
    const record = readRecord(segmentPath(layout, place.segment), place)
    if (record !== undefined) await index.write(() => applyLate(index, layout, record, place))
  }
}

/** Small blobs are in every index twice, results once more: what is not there by now is put back by `write`. */
export async function putBackRecords(index: IndexDb, { records }: Rescued): Promise<void> {
  await index.write(() => {
    const put = index.sql('INSERT OR IGNORE INTO records (key, value, touched) VALUES (?, ?, ?)')
    for (const { key, value, touchedMs } of records) put.run(key, value, Math.floor(touchedMs) || 0)
  })
}

/** How far each segment is known; then what dead writers left behind that is taken in. */
export async function mendReach(
  index: IndexDb,
  layout: Layout,
  leases: Leases,
  faults: readonly Fault[],
): Promise<void> {
  await index.write(() => {
    const reach = index.sql('UPDATE segments SET indexed=? WHERE id=? AND indexed=?')
    for (const fault of faults)
      if (fault.kind === 'reach') reach.run(fault.rightBytes, fault.segment, fault.indexedBytes)
  })
  for (const segment of segmentsOf(layout)) {
    await using lease = await leases.tryHold(segmentLease(segment))
    if (lease !== undefined) await recoverSegment(index, layout, segment)
  }
}

/** What the quota is reckoned by, and the counter that tells results of which blobs may have gone. */
export async function mendCounters(index: IndexDb, faults: readonly Fault[]): Promise<void> {
  if (!faults.some(({ kind }) => kind === 'accounts')) return
  await mendAccounts(index)
  await index.write(() => {
    const generation = index.sql('SELECT generation FROM state WHERE id=1').get()?.[0]
    const highest = Number(index.sql('SELECT max(generation) FROM actions').get()?.[0] ?? 0)
    const next = Math.max(typeof generation === 'number' && Number.isFinite(generation) ? generation : 0, highest) + 1
    index.sql('UPDATE state SET generation=? WHERE id=1').run(next)
  })
}

const SELECT = {
  blobs: 'SELECT place FROM blobs WHERE hash=?',
  actions: 'SELECT value FROM actions WHERE key=?',
  records: 'SELECT value FROM records WHERE key=?',
} as const
const DELETE = {
  blobs: 'DELETE FROM blobs WHERE hash=?',
  actions: 'DELETE FROM actions WHERE key=?',
  records: 'DELETE FROM records WHERE key=?',
} as const

function rescueBlob({ blobs }: Rescued, key: Uint8Array, value: Uint8Array): void {
  const place = decodeBlobPlace(key, value)
  const hash = Buffer.from(key).toString('hex')
  if (place?.kind === 'inline' && sha256Hex(place.bytes) === hash)
    blobs.push({ digest: { hash, sizeBytes: place.bytes.length }, bytes: Buffer.from(place.bytes) })
}

function rescueAction({ actions }: Rescued, key: Uint8Array, value: Uint8Array): void {
  const row = decodeActionRow(key, value)
  if (row !== undefined) actions.push({ action: row.action, instance: row.instance, result: Buffer.from(row.result) })
}

function openAnyway(layout: Layout): IndexDb | undefined {
  try {
    return openIndexDb(layout.index, { readOnly: true, durability: 'fast' })
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error
    return undefined
  }
}

function eachReadable(index: IndexDb, select: string, visit: (row: unknown[]) => void): void {
  try {
    for (const row of index.sql(select).iterate()) if (row.every((value) => value !== null)) visit(row)
  } catch (error) {
    if (sqliteCode(error) === undefined && !(error instanceof TypeError)) throw error
  }
}
