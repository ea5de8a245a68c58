import { placeOf } from './blob-place.ts'
import { moveToDamaged, reportCorruption } from './corrupt.ts'
import type { IndexDb } from './index-db.ts'
import { blobPath, type Layout, segmentPath } from './layout.ts'
import { type BlobPlace, blobKey } from './rows.ts'

/**
 * What becomes of what did not check out: it is told once, moved aside where it is a file, and the index forgets it, so
 * that it is missing and will be written anew. In the background; `settled` waits for it.
 */
export class Damage {
  readonly #index: IndexDb
  readonly #layout: Layout
  readonly #isReadOnly: boolean
  readonly #segments = new Set<number>()
  #wasLookedThrough = false
  #work: Promise<unknown> = Promise.resolve()

  constructor(index: IndexDb, layout: Layout, isReadOnly: boolean) {
    this.#index = index
    this.#layout = layout
    this.#isReadOnly = isReadOnly
  }

  /** The row itself: not what its checksum says. */
  row(table: 'blobs' | 'actions' | 'records', key: Uint8Array | string): void {
    const name = typeof key === 'string' ? key : Buffer.from(key).toString('hex')
    reportCorruption(`a row of ${table} in the index`, `${this.#layout.index}: ${name}`)
    const column = table === 'blobs' ? 'hash' : 'key'
    this.#later(() => {
      this.#index.sql(`DELETE FROM ${table} WHERE ${column}=?`).run(key)
      if (table === 'blobs') this.#index.raiseGeneration()
    })
  }

  /** A blob that is not where its row says. The whole segment is gone through: where one record is damaged, more may be. */
  blob(hash: string, place: BlobPlace): void {
    if (place.kind === 'file') {
      const path = blobPath(this.#layout, hash, place.codec)
      reportCorruption('a large blob', path)
      if (!this.#isReadOnly) moveToDamaged(this.#layout, path)
    } else
      reportCorruption(
        'a record of the journal',
        `${segmentPath(this.#layout, place.record.segment)}:${place.record.offset}`,
      )
    this.#later(() => this.#forget(hash, place))
    this.#segment(place.record.segment)
  }

  /**
   * A blob that somebody came to read has no row. Mostly the collector was quicker; but a page of the index that was
   * overwritten may read as one with fewer rows, which SQLite itself finds only when asked to look.
   */
  missingRow(): void {
    if (this.#isReadOnly || this.#wasLookedThrough) return
    this.#wasLookedThrough = true
    this.#work = this.#work.then(() =>
      this.#index.lookUp(() => {
        const found = this.#index.sql('PRAGMA quick_check(1)').get()?.[0]
        if (found !== 'ok') throw Object.assign(new Error(String(found)), { errcode: SQLITE_CORRUPT })
      }, undefined),
    )
  }

  async settled(): Promise<void> {
    await this.#work
  }

  /** Unless the row was replaced meanwhile. */
  #forget(hash: string, place: BlobPlace): void {
    const key = blobKey(hash)
    const now = placeOf(this.#index, key)
    if (now !== undefined && (now.record.segment !== place.record.segment || now.record.offset !== place.record.offset))
      return
    this.#index.sql('DELETE FROM blobs WHERE hash=?').run(key)
    this.#index.raiseGeneration()
  }

  #segment(segment: number): void {
    if (this.#isReadOnly || this.#segments.has(segment)) return
    this.#segments.add(segment)
    this.#work = this.#work
      .then(async () => {
        const { verifySegment } = await import('./verify-segment.ts')
        await verifySegment(this.#index, this.#layout, segment)
      })
      .catch(() => undefined)
  }

  #later(work: () => void): void {
    if (this.#isReadOnly) return
    // Whoever damaged the index too gets no answer here: the next opener builds it anew.
    this.#work = this.#work.then(() => this.#index.write(work)).catch(() => undefined)
  }
}

const SQLITE_CORRUPT = 11
