import { type Cache, type CacheOptions, openCache } from '../cache.ts'
import { isCacheError, systemCode } from '../errors.ts'

const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS'])

/** The cache; where its folder is one that cannot be written, opened for reading only. Throws as {@link openCache}. */
export async function openAsItIs(options: CacheOptions): Promise<Cache> {
  try {
    return await openCache(options)
  } catch (error) {
    if (!isUnwritable(error)) throw error
    // What is no cache is none for readers either, and the first error says more of it.
    return openCache({ ...options, readOnly: true }).catch(() => Promise.reject(error))
  }
}

function isUnwritable(error: unknown): boolean {
  return isCacheError(error) && error.code === 'store.unusable' && UNWRITABLE.has(systemCode(error.cause) ?? '')
}
