import { DatabaseSync } from 'node:sqlite'
import { reportCorruption } from './corrupt.ts'
import { BUSY_LIMIT_MS, indexBusy, isBusy, pauseWhileBusy } from './index-busy.ts'
import { ArrayStatement, type Statement } from './sql-statement.ts'
import { indexDamaged, isDamaged, sqliteCode, toldFull } from './sqlite-errors.ts'

/**
 * `index.db`: a view of what the journal says, shared by all processes that use the store. All reads are synchronous and
 * never wait; a write transaction waits for other writers by asynchronous retries. One handle per process: SQLite's locks
 * are the process's.
 */
export interface IndexDb extends Disposable {
  /** Prepared once and kept: call it with constant text only. */
  sql(text: string): Statement
  /** One consistent view for several reads, and cheaper than a view for each. Not nested; `work` must not wait. */
  read<T>(work: () => T): T
  /**
   * A look-up that must not fail: `otherwise` when the file is damaged or (a moment after another process died) busy. A
   * damaged index is remembered in `isDamaged`, and built anew by the next opener.
   */
  lookUp<T>(work: () => T, otherwise: T): T
  /** Whether SQLite found the file itself to be damaged since it was opened. */
  readonly isDamaged: boolean
  /**
   * `work` within BEGIN IMMEDIATE … COMMIT; rolled back when it throws. Transactions of this process queue in order.
   * Throws `store.busy` when other processes hold the write lock for {@link BUSY_LIMIT_MS}.
   */
  write<T>(work: () => T, signal?: AbortSignal): Promise<T>
  /** The counter that goes up whenever blobs may have gone: whoever removes rows of `blobs` must raise it in the same transaction. */
  generation(): number
  raiseGeneration(): void
  /** Another number once another process has written to the index, or this one has raised the generation; NaN when it cannot be told. */
  version(): number
}

export interface IndexOptions {
  readonly readOnly: boolean
  readonly durability: 'fast' | 'full'
}

/**
 * A process that looks up so often lives long, and maps the file: at a million action results that halves the time of a
 * look-up. Not before: whoever cuts off a mapped file kills the process that mapped it.
 */
export const LOOK_UPS_BEFORE_MAP = 10_000
/** As much as SQLite maps at most. */
const MAP_BYTES = 0x7fff0000

/** Opens the file, making an empty one unless `readOnly`. Tables are made by {@link createTables}. */
export function openIndexDb(path: string, options: IndexOptions): IndexDb {
  const db = new DatabaseSync(path, { readOnly: options.readOnly, timeout: 0 })
  try {
    // Off: the operating system writes when it likes. A power cut may then damage the index, so a changed boot id means
    // that it is checked before it is used (see boot.ts). The journal is the truth.
    if (!options.readOnly) db.exec(options.durability === 'full' ? 'PRAGMA synchronous=FULL' : 'PRAGMA synchronous=OFF')
    return new Index(db, path)
  } catch (error) {
    db.close()
    throw error
  }
}

class Index implements IndexDb {
  isDamaged = false
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #statements = new Map<string, Statement>()
  #lookUps = 0
  #writing: Promise<unknown> = Promise.resolve()
  #isGivenUp = false
  #raised = 0

  constructor(db: DatabaseSync, path: string) {
    this.#db = db
    this.#path = path
  }

  sql(text: string): Statement {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  #prepare(text: string): Statement {
    try {
      return new ArrayStatement(this.#db.prepare(text), this.#fail)
    } catch (error) {
      return this.#fail(error)
    }
  }

  readonly #fail = (error: unknown): never => {
    throw this.#noteDamage(error) ? indexDamaged(error) : error
  }

  read<T>(work: () => T): T {
    this.sql('BEGIN').run()
    try {
      const result = work()
      this.sql('COMMIT').run()
      return result
    } catch (error) {
      this.#rollBack()
      throw error
    }
  }

  lookUp<T>(work: () => T, otherwise: T): T {
    if (++this.#lookUps === LOOK_UPS_BEFORE_MAP) this.#map()
    try {
      return work()
    } catch (error) {
      if (isBusy(error)) return otherwise
      if (!this.#noteDamage(error)) throw error
      return otherwise
    }
  }

  #map(): void {
    this.lookUp(() => this.sql(`PRAGMA mmap_size=${MAP_BYTES}`).get(), undefined)
  }

  /** Told once. */
  #noteDamage(error: unknown): boolean {
    if (!isDamaged(error)) return false
    if (!this.isDamaged) reportCorruption('the index', this.#path)
    this.isDamaged = true
    return true
  }

  write<T>(work: () => T, signal?: AbortSignal): Promise<T> {
    const done = this.#writing.then(() => this.#transaction(work, signal))
    this.#writing = done.catch(() => undefined)
    return done
  }

  async #transaction<T>(work: () => T, signal?: AbortSignal): Promise<T> {
    // Who hung for so long hangs still: a run with several things to write does not wait for him each time.
    const limit = performance.now() + (this.#isGivenUp ? 0 : BUSY_LIMIT_MS)
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted()
      try {
        const result = this.#attempt(work)
        this.#isGivenUp = false
        return result
      } catch (error) {
        if (!isBusy(error)) throw toldFull(error)
        this.#isGivenUp = performance.now() > limit
        if (this.#isGivenUp) throw indexBusy(error)
      }
      await pauseWhileBusy(attempt)
    }
  }

  #attempt<T>(work: () => T): T {
    this.sql('BEGIN IMMEDIATE').run()
    try {
      const result = work()
      this.sql('COMMIT').run()
      return result
    } catch (error) {
      this.#rollBack()
      throw error
    }
  }

  /** SQLite may have rolled back by itself (disk full), and then refuses. */
  #rollBack(): void {
    try {
      this.sql('ROLLBACK').run()
    } catch (error) {
      if (sqliteCode(error) === undefined) throw error
    }
  }

  generation(): number {
    return Number(this.sql('SELECT generation FROM state WHERE id=1').get()?.[0] ?? 0)
  }

  version(): number {
    // What SQLite tells of is the commits of other connections alone.
    const others = this.lookUp(() => this.sql('PRAGMA data_version').get(), undefined)
    return others === undefined ? Number.NaN : Number(others[0]) + this.#raised
  }

  raiseGeneration(): void {
    this.#raised++
    this.sql('UPDATE state SET generation=generation+1 WHERE id=1').run()
  }

  [Symbol.dispose](): void {
    this.#statements.clear()
    this.#db.close()
  }
}
