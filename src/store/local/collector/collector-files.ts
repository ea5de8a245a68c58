import { lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { systemCode } from '../../../errors.ts'
import { placeOf } from '../blob-place.ts'
import type { IndexDb } from '../index-db.ts'
import { blobPath, type Layout } from '../layout.ts'
import { type BlobPlace, blobKey } from '../rows.ts'
import type { Codec } from '../segment.ts'
import { isFuture } from './clock-set-back.ts'

/**
 * Unlinks the files of blobs whose rows are gone. A writer who brought the same blob back meanwhile has put in a row, or
 * is just about to: its file is younger than the collection. One from the future was written before the clock was set back.
 */
export async function unlinkBlobFiles(
  index: IndexDb,
  layout: Layout,
  files: readonly { readonly hash: string; readonly place: BlobPlace & { kind: 'file' } }[],
  startedMs: number,
): Promise<void> {
  if (files.length === 0) return
  await index.write(() => {
    for (const { hash, place } of files)
      if (!isNamed(index, hash, place.codec)) unlinkIfOlder(blobPath(layout, hash, place.codec), startedMs, startedMs)
  })
}

const SHARDS = 256
/** Names looked up between two turns of others; of a million files a shard has four thousand. */
const LOOKS_A_STEP = 500
/** A file that nobody names may be one that is being published: renamed, and its row on the way. */
const UNNAMED_MS = 600_000

/** Files in `blobs/` that no row names: left by a process that died between removing the row and the file. */
export async function removeOrphanFiles(
  index: IndexDb,
  layout: Layout,
  nowMs: number,
  signal?: AbortSignal,
): Promise<void> {
  for (let shard = 0; shard < SHARDS; shard++) {
    const folder = `${layout.blobs}/${shard.toString(16).padStart(2, '0')}`
    for (const [i, name] of namesIn(folder).entries()) {
      if (i % LOOKS_A_STEP === LOOKS_A_STEP - 1) await breathe()
      const parsed = /^([0-9a-f]{64})(\.zst)?$/.exec(name)
      if (parsed === null || isNamed(index, parsed[1] as string, parsed[2] === undefined ? 'raw' : 'zstd')) continue
      unlinkIfOlder(`${folder}/${name}`, nowMs - UNNAMED_MS, nowMs)
    }
    await breathe(undefined, signal === undefined ? {} : { signal })
  }
}

function isNamed(index: IndexDb, hash: string, codec: Codec): boolean {
  const key = blobKey(hash)
  const place = placeOf(index, key)
  return place?.kind === 'file' && place.codec === codec
}

function unlinkIfOlder(path: string, olderThanMs: number, nowMs: number): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined || !stats.isFile()) return
  if (stats.mtimeMs >= olderThanMs && !isFuture(stats.mtimeMs, nowMs)) return
  try {
    unlinkSync(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
