import type { IndexDb } from './index-db.ts'

/** `PRAGMA user_version` of an index that is complete; 0 while it has to be built. */
export const INDEX_VERSION = 3

/**
 * Every value carries a CRC32C over key and value (`rows.ts`); the other columns are hints that may be wrong without harm.
 * `touched`: coarse Unix milliseconds of the last use. `generation`: the counter's value when all blobs of the result were
 * last known to be there. `segments.indexed`: up to which byte a segment's records are in this index; `verified`: up to
 * which byte they were checked after a boot. `actions.clock`: the eviction policy's clock when the result was last used.
 *
 * `state` is one row, so that a commit changes one page for all of it, and a look-up finds it without comparing names.
 * `actions` and `fileBytes` are what the quota asks for at every save, so that nobody has to count: how many action results
 * there are, and the bytes of files in `blobs/` that rows name (`blobs.stored`; 0 for a blob in the journal). Triggers keep
 * them, in the transaction that changes the rows, whoever that is; so rows are put in by upsert, since REPLACE fires no
 * trigger. `clock` is the eviction policy's, `generation` the counter, `stamp` that of the last commit, `boot` the start of
 * the machine that the index was last checked in.
 */
const SCHEMA = `
CREATE TABLE blobs (hash BLOB PRIMARY KEY, place BLOB NOT NULL, touched INTEGER NOT NULL, stored INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE actions (key BLOB PRIMARY KEY, value BLOB NOT NULL, touched INTEGER NOT NULL, hits INTEGER NOT NULL, generation INTEGER NOT NULL, clock REAL NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE records (key TEXT PRIMARY KEY, value BLOB NOT NULL, touched INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE segments (id INTEGER PRIMARY KEY, indexed INTEGER NOT NULL, verified INTEGER NOT NULL) STRICT;
CREATE TABLE state (id INTEGER PRIMARY KEY, actions INTEGER NOT NULL DEFAULT 0, fileBytes INTEGER NOT NULL DEFAULT 0, clock REAL NOT NULL DEFAULT 0, generation INTEGER NOT NULL DEFAULT 1, stamp BLOB, boot TEXT) STRICT;
CREATE TRIGGER action_in AFTER INSERT ON actions BEGIN UPDATE state SET actions=actions+1 WHERE id=1; END;
CREATE TRIGGER action_out AFTER DELETE ON actions BEGIN UPDATE state SET actions=actions-1 WHERE id=1; END;
CREATE TRIGGER file_in AFTER INSERT ON blobs WHEN new.stored<>0 BEGIN UPDATE state SET fileBytes=fileBytes+new.stored WHERE id=1; END;
CREATE TRIGGER file_out AFTER DELETE ON blobs WHEN old.stored<>0 BEGIN UPDATE state SET fileBytes=fileBytes-old.stored WHERE id=1; END;
CREATE TRIGGER file_changed AFTER UPDATE OF stored ON blobs WHEN new.stored<>old.stored BEGIN UPDATE state SET fileBytes=fileBytes+new.stored-old.stored WHERE id=1; END;
INSERT INTO state (id) VALUES (1);
`

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
