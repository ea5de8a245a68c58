import { statfsSync } from 'node:fs'
import { CacheError } from '../../../errors.ts'
import { formatSize } from '../../../units/size.ts'
import type { PolicyName } from './eviction-order.ts'

/** The limits of a cache folder, as given; what is not given is chosen by {@link quotaOf}. */
export interface QuotaOptions {
  /** Everything under the folder; 20 GiB or a tenth of the file system, the smaller, unless said. */
  readonly maxCacheBytes?: number
  /** Blobs alone, as stored. */
  readonly maxCasBytes?: number
  /** Action results, counted. */
  readonly maxEntries?: number
  /** What has to be free on the file system, whoever fills it. */
  readonly minFreeBytes?: number
  /** Action results older than this are not used, and collected. */
  readonly ttlMs?: number
  /** Which results leave first when there is no room. */
  readonly evictionPolicy?: PolicyName
}

/**
 * Limits, with the marks a collection works between. Past the high mark a collection is due; it takes away down to the low
 * mark, so that the next one is a good deal of writing away.
 */
export interface Quota {
  /** Everything under the folder: index, journal, blobs, trash. */
  readonly maxCacheBytes: number
  /** Infinite unless given. */
  readonly maxCasBytes: number
  /** Infinite unless given. */
  readonly maxEntries: number
  /** 0 unless given. */
  readonly minFreeBytes: number
  /** Infinite unless given. */
  readonly ttlMs: number
  /** What is kept of the trash at most, whatever its age. */
  readonly maxTrashBytes: number
  /** What is kept of lent files, which are copies of blobs. */
  readonly maxLentBytes: number
}

const GIB = 2 ** 30
const DEFAULT_BYTES = 20 * GIB
const DEFAULT_SHARE = 0.1
/** A twentieth of room between the mark and the limit, for what is written while a collection runs. */
const HIGH_WATER = 0.95
/** A fifth is freed at a time: of 20 GiB that is 3 GiB of new results between two collections. */
const LOW_WATER = 0.8
const TRASH_SHARE = 0.1
const LENT_SHARE = 0.25

/** 20 GiB or 10 % of the file system that `dir` is on, the smaller, unless `options` says otherwise. */
export function quotaOf(dir: string, options: QuotaOptions = {}): Quota {
  const maxCacheBytes = options.maxCacheBytes ?? defaultQuotaBytes(dir)
  return {
    maxCacheBytes,
    maxCasBytes: options.maxCasBytes ?? Number.POSITIVE_INFINITY,
    maxEntries: options.maxEntries ?? Number.POSITIVE_INFINITY,
    minFreeBytes: options.minFreeBytes ?? 0,
    ttlMs: options.ttlMs ?? Number.POSITIVE_INFINITY,
    maxTrashBytes: maxCacheBytes * TRASH_SHARE,
    maxLentBytes: maxCacheBytes * LENT_SHARE,
  }
}

/** Past this a collection is due. */
export function highWater(limit: number): number {
  return limit * HIGH_WATER
}

/** A collection is done when no more than this is left. */
export function lowWater(limit: number): number {
  return limit * LOW_WATER
}

/** The same for things that are counted: of three, three are allowed. */
export function highWaterCount(limit: number): number {
  return Math.ceil(limit * HIGH_WATER)
}

export function lowWaterCount(limit: number): number {
  return Math.ceil(limit * LOW_WATER)
}

/** A collection for want of free space is done when so much is free. */
export function enoughFreeBytes(minFreeBytes: number): number {
  return minFreeBytes / LOW_WATER
}

/** What may be written on the file system of a folder; infinite where it does not say. */
export function freeBytesAt(dir: string): number {
  const { bavail, blocks, bsize } = statfsOf(dir) ?? { bavail: 0, blocks: 0, bsize: 0 }
  return blocks > 0 ? bavail * bsize : Number.POSITIVE_INFINITY
}

/**
 * Throws `usage` for limits that nobody can mean, each by its name in configs: below or at nothing, no number, or more than
 * the disk of `dir` has. Costs a system call where a size is given, else nothing.
 */
export function refuseAbsurd(dir: string, options: QuotaOptions): void {
  const { maxCacheBytes, maxCasBytes, minFreeBytes, maxEntries, ttlMs } = options
  refuseNotPositive('maxEntries', maxEntries, '')
  refuseNotPositive('ttl', ttlMs, ' ms')
  const sizes = { maxCacheSize: maxCacheBytes, maxCasSize: maxCasBytes, minFreeSpace: minFreeBytes }
  for (const [name, bytes] of Object.entries(sizes)) {
    if (bytes === undefined) continue
    refuseNotPositive(name, bytes, ' bytes')
    const diskBytes = wholeBytesAt(dir)
    if (bytes > diskBytes)
      throw new CacheError(
        'usage',
        `${name} is ${formatSize(bytes)}, and the disk of ${dir} has ${formatSize(diskBytes)}.`,
        {
          hint: `Choose less, or leave ${name} out.`,
        },
      )
  }
  if (maxEntries !== undefined && !Number.isInteger(maxEntries))
    throw new CacheError('usage', `maxEntries is ${maxEntries}: results are counted in whole numbers.`)
}

function refuseNotPositive(name: string, value: number | undefined, unit: string): void {
  if (value === undefined || (value > 0 && Number.isFinite(value))) return
  throw new CacheError('usage', `${name} is ${value}${unit}: it must be more than 0, and finite.`, {
    hint: `Leave ${name} out for no such limit of yours.`,
  })
}

function defaultQuotaBytes(dir: string): number {
  const wholeBytes = wholeBytesAt(dir)
  return Math.min(DEFAULT_BYTES, wholeBytes * DEFAULT_SHARE)
}

/** Infinite where the file system does not say: some network and container file systems answer 0. */
function wholeBytesAt(dir: string): number {
  const { blocks, bsize } = statfsOf(dir) ?? { blocks: 0, bsize: 0 }
  return blocks > 0 ? blocks * bsize : Number.POSITIVE_INFINITY
}

function statfsOf(dir: string): { bavail: number; blocks: number; bsize: number } | undefined {
  try {
    return statfsSync(dir)
  } catch {
    return undefined
  }
}
