import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { CacheError, isCacheError } from '../../errors.ts'
import { reportCorruption } from './corrupt.ts'

/** A prepared statement; rows are arrays in the order of the columns. */
export interface Statement {
  get(...values: SQLInputValue[]): SQLOutputValue[] | undefined
  all(...values: SQLInputValue[]): SQLOutputValue[][]
  iterate(...values: SQLInputValue[]): IterableIterator<SQLOutputValue[]>
  /** The number of rows changed. */
  run(...values: SQLInputValue[]): number
}

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
  /** The counter in `meta` that goes up whenever blobs may have gone: whoever removes rows of `blobs` must raise it in the same transaction. */
  generation(): number
  raiseGeneration(): void
  /** Another number once another process has written to the index, or this one has raised the generation; NaN when it cannot be told. */
  version(): number
}

export interface IndexOptions {
  readonly readOnly: boolean
  readonly durability: 'fast' | 'full'
}

/** How long a writer waits for those of other processes. */
export const BUSY_LIMIT_MS = 10_000

/**
 * A process that looks up so often lives long, and maps the file: at a million action results that halves the time of a
 * look-up. Not before: whoever cuts off a mapped file kills the process that mapped it.
 */
export const LOOK_UPS_BEFORE_MAP = 10_000
/** As much as SQLite maps at most. */
const MAP_BYTES = 0x7fff0000

/** `PRAGMA user_version` of an index that is complete; 0 while it has to be built. */
export const INDEX_VERSION = 2

/**
 * Every value carries a CRC32C over key and value (`rows.ts`); the other columns are hints that may be wrong without harm.
 * `touched`: coarse Unix milliseconds of the last use. `generation`: the counter's value when all blobs of the result were
 * last known to be there. `segments.indexed`: up to which byte a segment's records are in this index; `verified`: up to
 * which byte they were checked after a boot. `actions.clock`: the eviction policy's clock when the result was last used.
 *
 * `accounts` is what the quota asks for at every save, so that nobody has to count: how many action results there are, and
 * the bytes of files in `blobs/` that rows name (`blobs.stored`; 0 for a blob in the journal). Triggers keep it, in the
 * transaction that changes the rows, whoever that is; so rows are put in by upsert, since REPLACE fires no trigger.
 */
const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;
CREATE TABLE blobs (hash BLOB PRIMARY KEY, place BLOB NOT NULL, touched INTEGER NOT NULL, stored INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE actions (key BLOB PRIMARY KEY, value BLOB NOT NULL, touched INTEGER NOT NULL, hits INTEGER NOT NULL, generation INTEGER NOT NULL, clock REAL NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE records (key TEXT PRIMARY KEY, value BLOB NOT NULL, touched INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE segments (id INTEGER PRIMARY KEY, indexed INTEGER NOT NULL, verified INTEGER NOT NULL) STRICT;
CREATE TABLE accounts (id INTEGER PRIMARY KEY, actions INTEGER NOT NULL, fileBytes INTEGER NOT NULL, clock REAL NOT NULL) STRICT;
CREATE TRIGGER action_in AFTER INSERT ON actions BEGIN UPDATE accounts SET actions=actions+1 WHERE id=1; END;
CREATE TRIGGER action_out AFTER DELETE ON actions BEGIN UPDATE accounts SET actions=actions-1 WHERE id=1; END;
CREATE TRIGGER file_in AFTER INSERT ON blobs WHEN new.stored<>0 BEGIN UPDATE accounts SET fileBytes=fileBytes+new.stored WHERE id=1; END;
CREATE TRIGGER file_out AFTER DELETE ON blobs WHEN old.stored<>0 BEGIN UPDATE accounts SET fileBytes=fileBytes-old.stored WHERE id=1; END;
CREATE TRIGGER file_changed AFTER UPDATE OF stored ON blobs WHEN new.stored<>old.stored BEGIN UPDATE accounts SET fileBytes=fileBytes+new.stored-old.stored WHERE id=1; END;
INSERT INTO accounts VALUES (1, 0, 0, 0);
INSERT INTO meta VALUES ('generation', 1);
`

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

/** 0: has no tables, or is not whole yet. Throws SQLite's error when the file is none of SQLite's. */
export function indexVersion(index: IndexDb): number {
  return Number(index.sql('PRAGMA user_version').get()?.[0] ?? 0)
}

/**
 * Makes the tables of a new index. Larger pages than SQLite's own: a third fewer splits when 10,000 blobs come in. Pages that
 * fall empty can be given back, which the collector does.
 */
export async function createTables(index: IndexDb): Promise<void> {
  index.sql('PRAGMA page_size=8192').all()
  index.sql('PRAGMA auto_vacuum=INCREMENTAL').all()
  index.sql('PRAGMA journal_mode=WAL').all()
  await index.write(() => {
    for (const statement of SCHEMA.split(';\n')) if (statement.trim() !== '') index.sql(statement).run()
  })
}

/** Says that the index is whole. */
export function sealIndex(index: IndexDb): Promise<void> {
  return index.write(() => void index.sql(`PRAGMA user_version=${INDEX_VERSION}`).all())
}

/** SQLite's primary result code of an error of `node:sqlite`, told as it is or as a damaged index, or undefined. */
export function sqliteCode(error: unknown): number | undefined {
  if (isCacheError(error)) return error.code === 'store.corrupt' ? sqliteCode(error.cause) : undefined
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined
}

const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_FULL = 13
const SQLITE_CORRUPT = 11
const SQLITE_CONSTRAINT = 19
const SQLITE_NOTADB = 26

export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_BUSY || code === SQLITE_LOCKED
}

/** A commit takes 50 us, a timer at least 1 ms: so often a turn of the event loop is wait enough. */
const TURNS = 20

/** Turns of the event loop, then 1, 2, 4 and at most 6 ms, never in step with the others. */
export function pauseWhileBusy(attempt: number): Promise<void> {
  return new Promise((resolve) => {
    if (attempt < TURNS) setImmediate(resolve)
    else setTimeout(resolve, Math.min(2 ** (attempt - TURNS), 4) * (0.5 + Math.random()))
  })
}

/** The file itself is damaged: what SQLite says so of, and what cannot be with the tables as they were made. */
export function isDamaged(error: unknown): boolean {
  const code = sqliteCode(error)
  if (isCacheError(error)) return code !== undefined
  if (code === SQLITE_ERROR) return /^no such (table|column)/.test((error as Error).message)
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB || code === SQLITE_CONSTRAINT
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
      statement = this.#prepared(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  #prepared(text: string): Statement {
    const fail = (error: unknown) => this.#fail(error)
    try {
      return new ArrayStatement(this.#db.prepare(text), fail)
    } catch (error) {
      return fail(error)
    }
  }

  #fail(error: unknown): never {
    throw this.#noteDamage(error) ? damaged(error) : error
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
        if (!isBusy(error)) throw explainedFull(error)
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
    return Number(this.sql("SELECT value FROM meta WHERE name='generation'").get()?.[0] ?? 0)
  }

  version(): number {
    // What SQLite tells of is the commits of other connections alone.
    const others = this.lookUp(() => this.sql('PRAGMA data_version').get(), undefined)
    return others === undefined ? Number.NaN : Number(others[0]) + this.#raised
  }

  raiseGeneration(): void {
    this.#raised++
    this.sql("UPDATE meta SET value=value+1 WHERE name='generation'").run()
  }

  [Symbol.dispose](): void {
    this.#statements.clear()
    this.#db.close()
  }
}

class ArrayStatement implements Statement {
  readonly #statement: StatementSync
  readonly #fail: (error: unknown) => never

  constructor(statement: StatementSync, fail: (error: unknown) => never) {
    statement.setReturnArrays(true)
    this.#statement = statement
    this.#fail = fail
  }

  get(...values: SQLInputValue[]): SQLOutputValue[] | undefined {
    try {
      return this.#statement.get(...values) as unknown as SQLOutputValue[] | undefined
    } catch (error) {
      return this.#fail(error)
    }
  }

  all(...values: SQLInputValue[]): SQLOutputValue[][] {
    try {
      return this.#statement.all(...values) as unknown as SQLOutputValue[][]
    } catch (error) {
      return this.#fail(error)
    }
  }

  *iterate(...values: SQLInputValue[]): IterableIterator<SQLOutputValue[]> {
    try {
      yield* this.#statement.iterate(...values) as unknown as IterableIterator<SQLOutputValue[]>
    } catch (error) {
      this.#fail(error)
    }
  }

  run(...values: SQLInputValue[]): number {
    try {
      return Number(this.#statement.run(...values).changes)
    } catch (error) {
      return this.#fail(error)
    }
  }
}

/** What is thrown when waiting for other processes has taken {@link BUSY_LIMIT_MS}. */
export function indexBusy(cause: unknown): CacheError {
  return new CacheError('store.busy', `Other processes kept the cache's index locked for ${BUSY_LIMIT_MS / 1000} s.`, {
    hint: 'Run again; if it stays so, look for a hanging recue process.',
    cause,
  })
}

/** A full disk, in the words of the store. */
function explainedFull(error: unknown): unknown {
  if (sqliteCode(error) !== SQLITE_FULL) return error
  return new CacheError('store.full', "No space is left for the cache's index.", {
    hint: 'Free some, or make the cache smaller: recue gc.',
    cause: error,
  })
}

function damaged(cause: unknown): CacheError {
  return new CacheError('store.corrupt', 'The index of the cache is damaged; the next run builds it anew.', { cause })
}
