import { setImmediate as breathe } from 'node:timers/promises'
import { isDiskFull } from '../explained.ts'
import type { IndexDb } from '../index-db.ts'
import type { Layout } from '../layout.ts'
import { sqliteCode } from '../sqlite-errors.ts'
import { giveUpReserve } from './reserve.ts'

/** Rows that one transaction removes: others who write wait for a millisecond or two. */
const BATCH = 100
/** On a full disk, where each takes room in the index's log before it frees any. */
const BATCH_WHEN_FULL = 10
/** Pages that one transaction gives back: less than a millisecond. */
const PAGES_A_STEP = 100

/** The room that a collection needs itself: to say in the index that something is gone takes some, before any is freed. */
export class Room {
  readonly #index: IndexDb
  readonly #layout: Layout
  /** How many rows to remove in one transaction. */
  batch = BATCH

  constructor({ index, layout }: { readonly index: IndexDb; readonly layout: Layout }) {
    this.#index = index
    this.#layout = layout
  }

  /**
   * Does it once more when the disk was full: the index's log is emptied first, the reserve given up, and from then on less
   * is said at once.
   */
  async made<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      this.batch = BATCH_WHEN_FULL
      giveUpReserve(this.#layout)
      this.truncateLog()
      return await work()
    }
  }

  /** Pages of the index that nothing is in any more go back to the disk, in steps. An index that was made without it keeps them. */
  async giveBackPages(signal: AbortSignal | undefined): Promise<void> {
    const index = this.#index
    const freePages = () => Number(index.sql('PRAGMA freelist_count').get()?.[0] ?? 0)
    for (let before = Number.POSITIVE_INFINITY, now = freePages(); now > 0 && now < before; now = freePages()) {
      before = now
      signal?.throwIfAborted()
      await this.made(() => index.write(() => void index.sql(`PRAGMA incremental_vacuum(${PAGES_A_STEP})`).all()))
      await breathe()
    }
  }

  /** SQLite's write-ahead log is as long as the busiest moment made it; a reader who is in it keeps it so for now. */
  truncateLog(): void {
    try {
      this.#index.lookUp(() => this.#index.sql('PRAGMA wal_checkpoint(TRUNCATE)').all(), [])
    } catch (error) {
      // On a full disk it may not find the room; it is SQLite's own to do it later.
      if (sqliteCode(error) === undefined) throw error
    }
  }
}
