import { statSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import type { IndexDb } from '../store/local/index-db.ts'
import { blobPath, type Layout, segmentPath } from '../store/local/layout.ts'
import { readRecord } from '../store/local/record-file.ts'
import { type BlobPlace, decodeActionRow, decodeBlobPlace, decodeRecordRow } from '../store/local/rows.ts'
import type { RecordPlace, SegmentRecord } from '../store/local/segment.ts'
import type { Fault } from './fault.ts'

export interface IndexInspector {
  readonly layout: Layout
  /** The index as it is, and one made anew of the same part of the journal. */
  readonly kept: IndexDb
  readonly rebuilt: IndexDb
  /** Whether that record was seen whole. */
  readonly isWhole: (place: RecordPlace) => boolean
  readonly onFault: (fault: Fault) => void
  readonly signal?: AbortSignal | undefined
}

/**
 * Every row against the place it names, then what the journal has against the rows. Which of two equal places a row names is
 * not looked at: processes that write the same blob at the same moment decide it by who comes last.
 */
export async function inspectIndex(inspector: IndexInspector): Promise<void> {
  const { kept, rebuilt, isWhole, onFault, layout, signal } = inspector
  const file = layout.index
  const wrong = new Set<string>()
  const bad = (table: 'blobs' | 'actions', key: Uint8Array) => {
    wrong.add(nameOf(table, key))
    onFault({ kind: 'row', file, table, key })
  }
  const made = rebuilt.sql('SELECT place FROM blobs WHERE hash=?')
  const isKnownPlace: IsKnownPlace = (key, place) => {
    const value = made.get(key)?.[0] as Uint8Array | undefined
    const other = value && decodeBlobPlace(key, value)
    return other !== undefined && isSamePlace(place, other) && isWhole(place.record)
  }
  await eachRow(kept, 'blobs', signal, (key, value) => {
    if (!isRightBlob(layout, key, value, isKnownPlace)) bad('blobs', key)
  })
  await eachRow(kept, 'actions', signal, (key, value) => {
    if (!isRightAction(layout, key, value)) bad('actions', key)
  })
  for (const [key, value] of kept.sql('SELECT key, value FROM records').all())
    if (decodeRecordRow(String(key), value as Uint8Array) === undefined)
      onFault({ kind: 'row', file, table: 'records', key: String(key) })
  const isListed = {
    blobs: kept.sql('SELECT 1 FROM blobs WHERE hash=?'),
    actions: kept.sql('SELECT 1 FROM actions WHERE key=?'),
  }
  for (const table of ['blobs', 'actions'] as const)
    await eachRow(rebuilt, table, signal, (key, value) => {
      const row = table === 'blobs' ? decodeBlobPlace(key, value) : decodeActionRow(key, value)
      const isRight = isListed[table].get(key) !== undefined && !wrong.has(nameOf(table, key))
      if (row !== undefined && !isRight) onFault({ kind: 'unlisted', file, table, place: row.record })
    })
}

function nameOf(table: string, key: Uint8Array): string {
  return `${table} ${Buffer.from(key).toString('hex')}`
}

const ROWS_A_STEP = 1_000

/** In the order of the keys, in small steps. */
export async function eachRow(
  index: IndexDb,
  table: 'blobs' | 'actions',
  signal: AbortSignal | undefined,
  visit: (key: Uint8Array, value: Uint8Array) => void,
): Promise<void> {
  const next = index.sql(
    table === 'blobs'
      ? `SELECT hash, place FROM blobs WHERE hash>? ORDER BY hash LIMIT ${ROWS_A_STEP}`
      : `SELECT key, value FROM actions WHERE key>? ORDER BY key LIMIT ${ROWS_A_STEP}`,
  )
  for (let after: Uint8Array = new Uint8Array(0); ; await turn(undefined, signal === undefined ? {} : { signal })) {
    const rows = next.all(after) as [Uint8Array, Uint8Array][]
    for (const [key, value] of rows) visit(key, value)
    const last = rows.at(-1)
    if (last === undefined) return
    after = last[0]
  }
}

/** Whether the row checks out, and what it names is where it says, by the checksums. */
export function isRightRow(layout: Layout, table: 'blobs' | 'actions', key: Uint8Array, value: Uint8Array): boolean {
  return table === 'blobs' ? isRightBlob(layout, key, value) : isRightAction(layout, key, value)
}

function isRightBlob(layout: Layout, key: Uint8Array, value: Uint8Array, isKnownPlace?: IsKnownPlace): boolean {
  const place = decodeBlobPlace(key, value)
  if (place === undefined) return false
  const hash = Buffer.from(key).toString('hex')
  if (place.kind === 'file') {
    const stats = statSync(blobPath(layout, hash, place.codec), { throwIfNoEntry: false })
    // What is behind the content is found by who reads the file.
    if (stats === undefined || stats.size < place.storedBytes) return false
  }
  if (isKnownPlace?.(key, place) === true) return true
  const record = readRecord(segmentPath(layout, place.record.segment), place.record)
  return record !== undefined && namesBlob(record, hash, place)
}

/** Spares reading a pack anew for each of its blobs. */
type IsKnownPlace = (key: Uint8Array, place: BlobPlace) => boolean

function namesBlob(record: SegmentRecord, hash: string, place: BlobPlace): boolean {
  if ('digests' in record) return 'ordinal' in place && record.digests[place.ordinal]?.hash === hash
  return 'digest' in record && record.kind === place.kind && record.digest.hash === hash
}

function isSamePlace(one: BlobPlace, other: BlobPlace): boolean {
  const ordinal = (place: BlobPlace) => ('ordinal' in place ? place.ordinal : -1)
  return (
    one.record.segment === other.record.segment &&
    one.record.offset === other.record.offset &&
    one.sizeBytes === other.sizeBytes &&
    ordinal(one) === ordinal(other)
  )
}

function isRightAction(layout: Layout, key: Uint8Array, value: Uint8Array): boolean {
  const row = decodeActionRow(key, value)
  if (row === undefined) return false
  const record = readRecord(segmentPath(layout, row.record.segment), row.record)
  return (
    record?.kind === 'action' &&
    record.action.hash === row.action.hash &&
    record.instance === row.instance &&
    Buffer.compare(record.result, row.result) === 0
  )
}
