import { statfsSync } from 'node:fs'

/** The limits of a cache folder, as given; what is not given is chosen by {@link quotaOf}. */
export interface QuotaOptions {
  readonly maxCacheBytes?: number
  readonly maxCasBytes?: number
  readonly ttlMs?: number
}

/**
 * Limits, with the marks a collection works between. Past the high mark a collection is due; it takes away down to the low
 * mark, so that the next one is a good deal of writing away.
 */
export interface Quota {
  /** Everything under the folder: index, journal, blobs, trash. */
  readonly maxCacheBytes: number
  /** Blobs alone, as stored; infinite unless given. */
  readonly maxCasBytes: number
  /** Action results older than this go first; infinite unless given. */
  readonly ttlMs: number
  /** What is kept of the trash at most, whatever its age. */
  readonly maxTrashBytes: number
}

const GIB = 2 ** 30
const DEFAULT_BYTES = 20 * GIB
const DEFAULT_SHARE = 0.1
/** A twentieth of room between the mark and the limit, for what is written while a collection runs. */
const HIGH_WATER = 0.95
/** A fifth is freed at a time: of 20 GiB that is 3 GiB of new results between two collections. */
const LOW_WATER = 0.8
const TRASH_SHARE = 0.1

/** 20 GiB or 10 % of the file system that `dir` is on, the smaller, unless `options` says otherwise. */
export function quotaOf(dir: string, options: QuotaOptions = {}): Quota {
  const maxCacheBytes = options.maxCacheBytes ?? defaultQuotaBytes(dir)
  return {
    maxCacheBytes,
    maxCasBytes: options.maxCasBytes ?? Number.POSITIVE_INFINITY,
    ttlMs: options.ttlMs ?? Number.POSITIVE_INFINITY,
    maxTrashBytes: maxCacheBytes * TRASH_SHARE,
  }
}

/** Past this a collection is due. */
export function highWaterBytes(limitBytes: number): number {
  return limitBytes * HIGH_WATER
}

/** A collection is done when no more than this is left. */
export function lowWaterBytes(limitBytes: number): number {
  return limitBytes * LOW_WATER
}

function defaultQuotaBytes(dir: string): number {
  try {
    const { blocks, bsize } = statfsSync(dir)
    const wholeBytes = blocks * bsize
    // Some network and container file systems say 0 for "unknown".
    return wholeBytes > 0 ? Math.min(DEFAULT_BYTES, wholeBytes * DEFAULT_SHARE) : DEFAULT_BYTES
  } catch {
    return DEFAULT_BYTES
  }
}
