import { setImmediate as breathe } from 'node:timers/promises'
import type { ActionDigest } from '../../../digest/digest.ts'
import { asActionDigest } from '../../../digest/digest.ts'
import { isCacheError } from '../../../errors.ts'
import type { IndexDb } from '../index-db.ts'
import type { Journal } from '../journal.ts'
import { type Layout, segmentPath } from '../layout.ts'
import { type ActionRow, type BlobPlace, decodeActionRow, decodeBlobPlace } from '../rows.ts'
import { scanSegment } from '../salvage.ts'
import type { RecordPlace, SegmentRecord } from '../segment.ts'
import type { Census } from './collector-census.ts'
import type { LiveAction } from './collector-marks.ts'

/** An action result as the collector found it. */
export interface FoundAction {
  /** The row's key in hex. */
  readonly name: string
  readonly action: ActionDigest
  readonly instance: string
  readonly place: RecordPlace
  readonly createdMs: number
  readonly touchedMs: number
  readonly hits: number
  readonly contentBytes: number
  readonly durationMs: number
}

const ROWS_A_STEP = 100

/** All action results whose rows check out, in the order of their keys; other work goes on in between. */
export async function* listActions(
  index: IndexDb,
  signal?: AbortSignal,
): AsyncGenerator<FoundAction & { readonly result: Uint8Array }> {
  const next = index.sql(
    `SELECT key, value, touched, hits FROM actions WHERE key > ? ORDER BY key LIMIT ${ROWS_A_STEP}`,
  )
  for (let after: Uint8Array = new Uint8Array(0); ; await breathe(undefined, signal === undefined ? {} : { signal })) {
    const rows = next.all(after)
    for (const [key, value, touched, hits] of rows) {
      const row = decodeActionRow(key as Uint8Array, value as Uint8Array)
      if (row !== undefined) yield foundAction(key as Uint8Array, row, Number(touched), Number(hits))
    }
    if (rows.length < ROWS_A_STEP) return
    after = rows.at(-1)?.[0] as Uint8Array
  }
}

function foundAction(key: Uint8Array, row: ActionRow, touchedMs: number, hits: number) {
  const { action, instance, record, createdMs, contentBytes, durationMs, result } = row
  const name = Buffer.from(key).toString('hex')
  return {
    name,
    action: asActionDigest(action),
    instance,
    place: record,
    createdMs,
    touchedMs,
    hits,
    contentBytes,
    durationMs,
    result,
  }
}

/**
 * Removes those of `victims` that are still what they were and were not used since; says which, each with its result.
 * Journalled once they are gone: if the process dies in between, a rebuild brings them back, whole or as a miss.
 */
export async function removeActions(
  index: IndexDb,
  journal: Journal,
  victims: readonly FoundAction[],
  options: { readonly nowMs: number; readonly isDry: boolean },
): Promise<{ found: FoundAction; result: Uint8Array }[]> {
  const take = () => victims.flatMap((found) => takeAction(index, found, options.isDry) ?? [])
  if (options.isDry) return index.read(take)
  const gone = await index.write(take)
  const records = gone.map(({ found: { instance, action } }) => {
    return { kind: 'action-removed', stampMs: options.nowMs, instance, action } as const
  })
  if (records.length > 0) await journalled(journal, records)
  return gone
}

/** On a full disk without: there it matters more to free something than that a rebuild does not bring it back. */
async function journalled(journal: Journal, records: readonly SegmentRecord[]): Promise<void> {
  try {
    await journal.commit(records, () => undefined)
  } catch (error) {
    if (!isCacheError(error) || error.code !== 'store.full') throw error
  }
}

function takeAction(
  index: IndexDb,
  found: FoundAction,
  isDry: boolean,
): { found: FoundAction; result: Uint8Array } | undefined {
  const key = Buffer.from(found.name, 'hex')
  const [value, touched] = index.sql('SELECT value, touched FROM actions WHERE key=?').get(key) ?? []
  const row = value && decodeActionRow(key, value as Uint8Array)
  if (!row || Number(touched) !== found.touchedMs || !samePlace(row.record, found.place)) return undefined
  if (!isDry) index.sql('DELETE FROM actions WHERE key=?').run(key)
  return { found, result: Uint8Array.from(row.result) }
}

/** Action results that were put since it was made, told from how far each segment is in the index. */
export class NewActions {
  readonly #index: IndexDb
  readonly #layout: Layout
  #seen: ReadonlyMap<number, number>

  constructor(index: IndexDb, layout: Layout) {
    this.#index = index
    this.#layout = layout
    this.#seen = indexedBytesOf(index)
  }

  /** Those since the last call. Within a transaction nothing can come after them. */
  take(): LiveAction[] {
    const found: LiveAction[] = []
    const now = indexedBytesOf(this.#index)
    for (const [segment, to] of now) {
      const from = this.#seen.get(segment) ?? 0
      if (to <= from) continue
      for (const { record } of scanSegment(segmentPath(this.#layout, segment), segment, { from, to }))
        if (record.kind === 'action') found.push({ action: record.action, result: record.result })
    }
    this.#seen = now
    return found
  }
}

function indexedBytesOf(index: IndexDb): ReadonlyMap<number, number> {
  return new Map(
    index
      .sql('SELECT id, indexed FROM segments')
      .all()
      .map(([id, bytes]) => [Number(id), Number(bytes)]),
  )
}

export interface BlobRemoval {
  readonly census: Census
  readonly numbers: readonly number[]
  /** Asked again in the transaction. */
  readonly isStill: (number: number) => boolean
  readonly news: NewActions
  /** Marks what a put that came meanwhile names. */
  readonly markNews: (live: LiveAction) => Promise<void>
  readonly nowMs: number
}

/** Removes the rows of those blobs that nobody names and nobody used since the census; the generation goes up with them. */
export async function removeBlobs(
  index: IndexDb,
  journal: Journal,
  removal: BlobRemoval,
): Promise<{ count: number; files: { hash: string; place: BlobPlace & { kind: 'file' } }[] }> {
  for (;;) {
    for (const live of removal.news.take()) await removal.markNews(live)
    let late: LiveAction[] = []
    const gone = await index.write(() => {
      // A put that comes now waits for this transaction, and then sees that its blobs are gone.
      late = removal.news.take()
      return late.length > 0 ? undefined : takeBlobs(index, removal)
    })
    for (const live of late) await removal.markNews(live)
    if (gone === undefined) continue
    if (gone.length > 0) {
      const hashes = gone.map(({ hash }) => hash)
      await journalled(journal, [{ kind: 'blobs-removed', stampMs: removal.nowMs, hashes }])
    }
    const files = gone.flatMap(({ hash, place }) => (place?.kind === 'file' ? [{ hash, place }] : []))
    return { count: gone.length, files }
  }
}

function takeBlobs(
  index: IndexDb,
  { census, numbers, isStill }: BlobRemoval,
): { hash: string; place: BlobPlace | undefined }[] {
  const gone: { hash: string; place: BlobPlace | undefined }[] = []
  const take = index.sql('DELETE FROM blobs WHERE hash=? AND touched<=? RETURNING place')
  for (const number of numbers) {
    if (!isStill(number)) continue
    const key = census.hashOf(number)
    const place = take.get(key, census.touchedMsOf(number))?.[0] as Uint8Array | undefined
    if (place !== undefined) gone.push({ hash: Buffer.from(key).toString('hex'), place: decodeBlobPlace(key, place) })
  }
  const drop = index.sql('DELETE FROM blobs WHERE hash=?')
  for (const key of census.damaged) drop.run(key)
  if (gone.length > 0 || census.damaged.length > 0) index.raiseGeneration()
  return gone
}

export function samePlace(a: RecordPlace, b: RecordPlace): boolean {
  return a.segment === b.segment && a.offset === b.offset
}
