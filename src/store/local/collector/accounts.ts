import type { IndexDb } from '../index-db.ts'
import type { Layout } from '../layout.ts'
import { decodeBlobPlace } from '../rows.ts'
import { entriesOf, fileBytes, folderBytes } from './quota-usage.ts'

/** What the index keeps count of, so that a quota is looked at without counting. */
export interface Accounts {
  /** Action results. */
  readonly actions: number
  /** Bytes of the files in `blobs/` that rows name. */
  readonly fileBytes: number
  /** The eviction policy's age: see `AgeingPolicy`. */
  readonly age: number
}

/** One row is read. */
export function accountsOf(index: IndexDb): Accounts {
  const [actions, fileBytes, age] = index.sql('SELECT actions, fileBytes, clock FROM state WHERE id=1').get() ?? []
  return { actions: Number(actions ?? 0), fileBytes: Number(fileBytes ?? 0), age: Number(age ?? 0) }
}

/** What the folder takes on disk by the accounts: nothing in `blobs/` is looked at, of which there may be very many. */
export function diskBytesOf(index: IndexDb, layout: Layout): number {
  return restBytes(layout) + folderBytes(layout.journal) + accountsOf(index).fileBytes
}

/** What lies in the folder beside the journal and `blobs/`: the index, the ledger, the trash and more. */
export function restBytes(layout: Layout): number {
  let sum = 0
  for (const { path, isFolder } of entriesOf(layout.dir))
    if (path !== layout.journal && path !== layout.blobs) sum += isFolder ? folderBytes(path) : fileBytes(path)
  return sum
}

/**
 * The invariant of the accounts: each says what counting afresh says. What is wrong, a line each; nothing while it holds.
 * Always true of the index itself, at any moment and in any process. `files` asks as well whether `blobs/` holds what the
 * account says, which is so when nobody writes and a collection has ended what dead writers left. Reads the whole index.
 */
export function accountErrors(index: IndexDb, layout: Layout, options: { readonly files: boolean }): string[] {
  const { said, counted, badRows } = index.read(() => ({ said: accountsOf(index), ...count(index) }))
  const errors: string[] = []
  const compare = (what: string, is: number, should: number) => {
    if (is !== should) errors.push(`${what}: the account says ${is}, counted are ${should}`)
  }
  compare('action results', said.actions, counted.actions)
  compare('bytes of files that rows name', said.fileBytes, counted.fileBytes)
  if (badRows > 0) errors.push(`${badRows} rows of blobs stand in the account with other bytes than they say`)
  if (options.files) compare('bytes of files in blobs/', said.fileBytes, folderBytes(layout.blobs))
  return errors
}

function count(index: IndexDb): { counted: { actions: number; fileBytes: number }; badRows: number } {
  let fileBytes = 0
  let badRows = 0
  for (const [hash, value, stored] of index.sql('SELECT hash, place, stored FROM blobs').iterate()) {
    fileBytes += Number(stored)
    const place = decodeBlobPlace(hash as Uint8Array, value as Uint8Array)
    // A row that does not check out is forgotten, with what it says, by whoever reads it.
    if (place !== undefined && Number(stored) !== (place.kind === 'file' ? place.storedBytes : 0)) badRows++
  }
  const actions = Number(index.sql('SELECT count(*) FROM actions').get()?.[0] ?? 0)
  return { counted: { actions, fileBytes }, badRows }
}

/** Counts afresh and writes that down, in one transaction that goes through the whole index: for repair. */
export function mendAccounts(index: IndexDb): Promise<void> {
  return index.write(() => {
    // Under a generation that no result was seen whole in.
    const generation = '1 + coalesce(max(generation), 0)'
    index.sql(`INSERT OR IGNORE INTO state (id, generation) SELECT 1, ${generation} FROM actions`).run()
    const blobs = index.sql('SELECT hash, place FROM blobs WHERE hash>? ORDER BY hash LIMIT 2000')
    const put = index.sql('UPDATE blobs SET stored=? WHERE hash=?')
    for (let rows = blobs.all(NOTHING); rows.length > 0; rows = blobs.all(rows.at(-1)?.[0] as Uint8Array))
      for (const [hash, value] of rows) {
        const place = decodeBlobPlace(hash as Uint8Array, value as Uint8Array)
        put.run(place?.kind === 'file' ? place.storedBytes : 0, hash as Uint8Array)
      }
    const actions = '(SELECT count(*) FROM actions)'
    const bytes = '(SELECT coalesce(sum(stored), 0) FROM blobs)'
    index.sql(`UPDATE state SET actions=${actions}, fileBytes=${bytes} WHERE id=1`).run()
  })
}

const NOTHING = new Uint8Array(0)
