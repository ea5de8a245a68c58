import { CacheError, systemCode } from '../../errors.ts'
import { sqliteCode } from './sqlite-errors.ts'

const SQLITE_FULL = 13

/** Errors of the disk in the words of the store. */
export function explained(error: unknown, dir: string): unknown {
  const code = systemCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT' || sqliteCode(error) === SQLITE_FULL)
    return new CacheError('store.full', `No space is left for the cache in ${dir}.`, {
      hint: 'Free some, or make the cache smaller: recue gc.',
      cause: error,
    })
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM')
    return new CacheError('store.unusable', `The cache folder ${dir} cannot be written (${code}).`, {
      hint: 'Check its permissions, or name another with --cache-dir.',
      cause: error,
    })
  return error
}

export function isDiskFull(error: unknown): boolean {
  return error instanceof CacheError && error.code === 'store.full'
}
