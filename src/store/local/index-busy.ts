import { CacheError } from '../../errors.ts'
import { sqliteCode } from './sqlite-errors.ts'

/** How long a writer waits for those of other processes. */
export const BUSY_LIMIT_MS = 10_000

const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6

/** Others hold a lock on the index. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === SQLITE_BUSY || code === SQLITE_LOCKED
}

/** What is thrown when waiting for other processes has taken {@link BUSY_LIMIT_MS}. */
export function indexBusy(cause: unknown): CacheError {
  return new CacheError('store.busy', `Other processes kept the cache's index locked for ${BUSY_LIMIT_MS / 1000} s.`, {
    hint: 'Run again; if it stays so, look for a hanging recue process.',
    cause,
  })
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
