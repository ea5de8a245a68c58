import type { Cache } from '../../cache.ts'
import { defaultCacheDir } from '../../store/local/cache-dir.ts'
import { indexStamp } from '../../store/local/index-stamp.ts'
import type { Settings } from '../settings.ts'
import type { RepeatQuestion } from './repeat-check.ts'

/** While others write to the index, a record would be out of date before it is read. And what was stamped just now is not certain. */
const QUIET_MS = 1_000

/**
 * The stamp of the index by which a hit may be repeated; undefined where it may not. A remote may have to be sent something, a
 * report or a line more to be written: all that is left to those who do it.
 */
export function repeatableAt(
  cache: Pick<Cache, 'dir' | 'readOnly'>,
  settings: Settings,
  { environment, startedMs }: { readonly environment: RepeatQuestion['environment']; readonly startedMs: number },
): string | undefined {
  const { json, report, verbose, stdin, remote, ttl } = settings
  if (json || verbose || stdin || cache.readOnly) return undefined
  if (report !== undefined || (remote ?? '') !== '' || ttl !== undefined) return undefined
  // Where it is looked for before anything is known but the environment.
  if (cache.dir !== defaultCacheDir(environment, process.platform)) return undefined
  const stamp = indexStamp(cache.dir)
  return stamp !== undefined && stamp.changedMs < startedMs - QUIET_MS ? stamp.text : undefined
}
