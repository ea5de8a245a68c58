import type { IndexDb } from './index-db.ts'
import { blobKey } from './rows.ts'

/** A mark younger than this is not renewed: it keeps a look-up from being a write. The collector's grace must be well above. */
export const MARK_STEP_MS = 3_600_000

/**
 * Access marks, gathered and written in one small transaction later: by the next flush, or at dispose. They are hints;
 * what is lost with a dying process is made up for by the next access.
 */
export class Marks {
  readonly #index: IndexDb
  readonly #now: () => number
  readonly #countsUses: boolean
  readonly #blobs = new Set<string>()
  readonly #actions = new Map<Buffer, { hits: number; generation: number }>()
  readonly #records = new Set<string>()
  #flushing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(index: IndexDb, now: () => number, countsUses: boolean) {
    this.#index = index
    this.#now = now
    this.#countsUses = countsUses
  }

  isDue(touchedMs: number): boolean {
    return this.#now() - touchedMs >= MARK_STEP_MS
  }

  blob(hash: string): void {
    if (!this.#countsUses) return
    this.#blobs.add(hash)
    this.#schedule()
  }

  /** Also says that all blobs of the result were there at that generation. */
  action(key: Buffer, generation: number): void {
    if (!this.#countsUses) return
    this.#actions.set(key, { hits: 1, generation })
    this.#schedule()
  }

  record(key: string): void {
    this.#records.add(key)
    this.#schedule()
  }

  /** Never rejects: marks are not worth failing for. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#blobs.size + this.#actions.size + this.#records.size > 0)
      this.#flushing = this.#index.write(() => this.#writeAll()).catch(() => undefined)
    return this.#flushing
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => void this.flush(), FLUSH_AFTER_MS).unref()
  }

  #writeAll(): void {
    const now = this.#now()
    const blob = this.#index.sql('UPDATE blobs SET touched=? WHERE hash=?')
    for (const hash of this.#blobs) blob.run(now, blobKey(hash))
    const action = this.#index.sql(
      `UPDATE actions SET touched=?, hits=hits+?, generation=max(generation, ?), clock=(SELECT clock FROM state WHERE id=1)
       WHERE key=?`,
    )
    for (const [key, { hits, generation }] of this.#actions) action.run(now, hits, generation, key)
    const record = this.#index.sql('UPDATE records SET touched=? WHERE key=?')
    for (const key of this.#records) record.run(now, key)
    this.#blobs.clear()
    this.#actions.clear()
    this.#records.clear()
  }
}

const FLUSH_AFTER_MS = 200
