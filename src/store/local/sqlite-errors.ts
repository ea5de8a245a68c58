import { CacheError, isCacheError } from '../../errors.ts'

/** SQLite's primary result code of an error of `node:sqlite`, told as it is or as a damaged index, or undefined. */
export function sqliteCode(error: unknown): number | undefined {
  if (isCacheError(error)) return error.code === 'store.corrupt' ? sqliteCode(error.cause) : undefined
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : undefined
}

const SQLITE_ERROR = 1
const SQLITE_FULL = 13
const SQLITE_CORRUPT = 11
const SQLITE_CONSTRAINT = 19
const SQLITE_NOTADB = 26

/** The file itself is damaged: what SQLite says so of, and what cannot be with the tables as they were made. */
export function isDamaged(error: unknown): boolean {
  const code = sqliteCode(error)
  if (isCacheError(error)) return code !== undefined
  if (code === SQLITE_ERROR) return /^no such (table|column)/.test((error as Error).message)
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB || code === SQLITE_CONSTRAINT
}

/** A full disk, in the words of the store. */
export function toldFull(error: unknown): unknown {
  if (sqliteCode(error) !== SQLITE_FULL) return error
  return new CacheError('store.full', "No space is left for the cache's index.", {
    hint: 'Free some, or make the cache smaller: recue gc.',
    cause: error,
  })
}

/** What is thrown where no answer can be given. */
export function indexDamaged(cause: unknown): CacheError {
  return new CacheError('store.corrupt', 'The index of the cache is damaged; the next run builds it anew.', { cause })
}
