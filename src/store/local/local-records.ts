import { CacheError } from '../../errors.ts'
import type { NamesPage, RecordKind, WorkspaceRecords } from '../contracts.ts'
import type { Damage } from './damage.ts'
import type { IndexDb } from './index-db.ts'
import { MARK_STEP_MS, type Marks } from './marks.ts'
import { decodeRecordRow, encodeRecordRow } from './rows.ts'

export interface LocalRecordsOptions {
  readonly index: IndexDb
  readonly marks: Marks
  readonly damage: Damage
  readonly readOnly: boolean
  readonly now: () => number
}

/** Workspace records as rows of the index. They are not in the journal: a lost one costs a hash, not a result. */
export function localRecords(options: LocalRecordsOptions): WorkspaceRecords {
  return new LocalRecords(options)
}

/** Records are used at every run; a mark a day tells the collector which workspaces still exist. */
const RECORD_MARK_STEP_MS = 24 * MARK_STEP_MS

class LocalRecords implements WorkspaceRecords {
  readonly #options: LocalRecordsOptions

  constructor(options: LocalRecordsOptions) {
    this.#options = options
  }

  load(kind: RecordKind, name: string): Uint8Array | undefined {
    const { index, marks, damage, readOnly, now } = this.#options
    const key = keyOf(kind, name)
    const select = 'SELECT value, touched FROM records WHERE key=?'
    const row = index.lookUp(() => index.sql(select).get(key) as unknown as [Uint8Array, number] | undefined, undefined)
    if (row === undefined) return undefined
    const record = decodeRecordRow(key, row[0])
    if (record === undefined) damage.row('records', key)
    else if (!readOnly && now() - row[1] > RECORD_MARK_STEP_MS) marks.record(key)
    return record
  }

  async save(kind: RecordKind, name: string, record: Uint8Array): Promise<void> {
    const { index, now } = this.#options
    this.#refuseReadOnly()
    const key = keyOf(kind, name)
    const value = encodeRecordRow(key, record)
    await index.write(() => {
      index.sql('INSERT OR REPLACE INTO records (key, value, touched) VALUES (?, ?, ?)').run(key, value, now())
    })
  }

  async remove(kind: RecordKind, name: string): Promise<void> {
    const { index } = this.#options
    this.#refuseReadOnly()
    await index.write(() => index.sql('DELETE FROM records WHERE key=?').run(keyOf(kind, name)))
  }

  names(kind: RecordKind, prefix: string, { after = '', most }: NamesPage = ALL): string[] {
    const { index } = this.#options
    const start = keyOf(kind, prefix)
    // The last code point sorts after all that names are made of.
    const select = 'SELECT key FROM records WHERE key>=? AND key<? AND key>? ORDER BY key LIMIT ?'
    const limits = [start, `${start}\u{10ffff}`, keyOf(kind, after), most]
    const rows = index.lookUp(() => index.sql(select).all(...limits), [])
    return rows.map(([key]) => String(key).slice(kind.length + 1))
  }

  #refuseReadOnly(): void {
    if (!this.#options.readOnly) return
    throw new CacheError('store.read-only', 'The record was not kept: the cache is open for reading only.')
  }
}

/** No limit, in SQLite. */
const ALL: NamesPage = { most: -1 }

/** SQLite ends a text at no byte, but its tools do at a zero: a space cannot be in a kind. */
function keyOf(kind: RecordKind, name: string): string {
  return `${kind} ${name}`
}
