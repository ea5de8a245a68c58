import type { ActionDigest } from '../../../digest/digest.ts'
import { asActionDigest } from '../../../digest/digest.ts'
import { isCacheError } from '../../../errors.ts'
import type { IndexDb } from '../index-db.ts'
import type { Journal } from '../journal.ts'
import { type Layout, segmentPath } from '../layout.ts'
import { type ActionRow, type BlobPlace, decodeActionRow, decodeBlobPlace } from '../rows.ts'
import { scanSegment } from '../salvage.ts'
import type { NewRecord, RecordPlace } from '../segment.ts'
import { takeStamp } from '../stamps.ts'
import type { Census } from './collector-census.ts'
import type { LiveAction, Marks } from './collector-marks.ts'
import { rowPages } from './row-pages.ts'

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
  const page = index.sql('SELECT key, value, touched, hits FROM actions WHERE key > ? ORDER BY key LIMIT ?')
  for await (const rows of rowPages<ActionColumns>(page, ROWS_A_STEP, signal))
    for (const [key, value, touched, hits] of rows) {
      const row = decodeActionRow(key, value)
      if (row !== undefined) yield foundAction(key, row, touched, hits)
    }
}

type ActionColumns = readonly [key: Uint8Array, value: Uint8Array, touchedMs: number, hits: number]

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

/** An action result that is to go, as the census saw it. */
export interface Victim {
  /** The row's key. */
  readonly key: Uint8Array
  readonly touchedMs: number
}

export interface RemovedAction {
  readonly victim: Victim
  readonly action: ActionDigest
  readonly result: Uint8Array
  readonly recordBytes: number
}

/**
 * Removes those of `victims` that were not used or put anew since the census; says which, each with its result. `age`: the
 * eviction policy's, once they have left. Journalled once they are gone: if the process dies in between, a rebuild brings
 * them back, whole or as a miss.
 */
export async function removeActions(
  index: IndexDb,
  journal: Journal,
  victims: readonly Victim[],
  options: { readonly nowMs: number; readonly isDry: boolean; readonly age: number },
): Promise<RemovedAction[]> {
  const removals: NewRecord[] = []
  const take = (stampMs: number) => {
    removals.length = 0
    return victims.flatMap((victim) => {
      const row = takeAction(index, victim, options.isDry)
      if (row === undefined) return []
      const { action, instance, record, result } = row
      removals.push({ kind: 'action-removed', stampMs, instance, action })
      return [
        { victim, action: asActionDigest(action), result: new Uint8Array(result), recordBytes: record.recordBytes },
      ]
    })
  }
  if (options.isDry) return index.read(() => take(options.nowMs))
  const gone = await index.write(() => {
    index.sql('UPDATE state SET clock=max(clock, ?)').run(options.age)
    // Of now: what is put again before the removals are in the journal comes after them.
    return take(takeStamp(index, options.nowMs))
  })
  if (removals.length > 0) await journalled(journal, removals)
  return gone
}

/** On a full disk without: there it matters more to free something than that a rebuild does not bring it back. */
async function journalled(journal: Journal, records: readonly NewRecord[]): Promise<void> {
  try {
    await journal.commit(records, () => undefined)
  } catch (error) {
    if (!isCacheError(error) || error.code !== 'store.full') throw error
  }
}

function takeAction(index: IndexDb, { key, touchedMs }: Victim, isDry: boolean): ActionRow | undefined {
  const [value, touched] = index.sql('SELECT value, touched FROM actions WHERE key=?').get(key) ?? []
  if (value === undefined || Number(touched) !== touchedMs) return undefined
  if (!isDry) index.sql('DELETE FROM actions WHERE key=?').run(key)
  // A row that does not check out is of no use to anybody, and goes without a word to the journal.
  return decodeActionRow(key, value as Uint8Array)
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
  /** Also of what a put that came meanwhile names. */
  readonly marks: Marks
  readonly nowMs: number
}

/** Removes the rows of those blobs that nobody names and nobody used since the census; the generation goes up with them. */
export async function removeBlobs(
  index: IndexDb,
  journal: Journal,
  removal: BlobRemoval,
): Promise<{ count: number; files: { hash: string; place: BlobPlace & { kind: 'file' } }[] }> {
  const { marks, news } = removal
  const mark = async (lives: readonly LiveAction[]) => {
    for (const live of lives) marks.add(live)
    await marks.settle()
  }
  for (;;) {
    await mark(news.take())
    let late: LiveAction[] = []
    let stampMs = 0
    const gone = await index.write(() => {
      // A put that comes now waits for this transaction, and then sees that its blobs are gone.
      late = news.take()
      if (late.length > 0) return undefined
      stampMs = takeStamp(index, removal.nowMs)
      return takeBlobs(index, removal)
    })
    await mark(late)
    if (gone === undefined) continue
    if (gone.length > 0) {
      const hashes = gone.map(({ hash }) => hash)
      await journalled(journal, [{ kind: 'blobs-removed', stampMs, hashes }])
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
