import { lstatSync, lutimesSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Leases } from '../../contracts.ts'
import type { IndexDb } from '../index-db.ts'
import { type Layout, segmentLease, segmentOfStaging } from '../layout.ts'
import { recoverSegment } from '../recover.ts'
import { isFuture } from './clock-set-back.ts'
import { entriesOf, fileBytes, folderBytes } from './quota-usage.ts'

/** Kept in the trash for at least so long, unless it takes more than its bound. */
const TRASH_MS = 7 * 24 * 3_600_000
/** A file in `tmp/` whose owner cannot be told is left alone for so long: the longest command that stages there. */
const STALE_MS = 24 * 3_600_000

/** What was moved aside more than a week ago goes, then the oldest until the rest is within the bound. Bytes freed. */
export async function sweepTrash(folder: string, maxBytes: number, nowMs: number): Promise<number> {
  const kept = entriesOf(folder).map(({ path, isFolder }) => ({
    path,
    changedMs: changedMs(path, nowMs),
    bytes: isFolder ? folderBytes(path) : fileBytes(path),
  }))
  kept.sort((a, b) => a.changedMs - b.changedMs)
  let rest = kept.reduce((sum, { bytes }) => sum + bytes, 0)
  const before = rest
  for (const { path, changedMs, bytes } of kept) {
    if (changedMs > nowMs - TRASH_MS && rest <= maxBytes) break
    await rm(path, { recursive: true, force: true })
    rest -= bytes
  }
  return before - rest
}

/**
 * What dead writers left in `tmp/`: their segments are recovered, which publishes what they had announced and removes the
 * rest. Of other files, those that nobody can have a use for any more.
 */
export async function sweepStaging(index: IndexDb, layout: Layout, leases: Leases, nowMs: number): Promise<void> {
  for (const { path, name } of entriesOf(layout.tmp)) {
    const segment = segmentOfStaging(name)
    if (segment === undefined) {
      if (changedMs(path, nowMs) < nowMs - STALE_MS) rmSync(path, { recursive: true, force: true })
      continue
    }
    await using owner = await leases.tryHold(segmentLease(segment))
    if (owner !== undefined && lstatSync(path, { throwIfNoEntry: false })) await recoverSegment(index, layout, segment)
  }
}

/** Lock files that no process holds, and what dead holders said of themselves. To have held a lock is to have removed its file. */
export async function sweepLocks(layout: Layout, leases: Leases): Promise<void> {
  for (const { path, name } of entriesOf(layout.locks)) {
    if (/-journal$|-wal$|-shm$/.test(name)) continue
    const isNote = name.endsWith('.note')
    await using held = await leases.tryHold(decodeURIComponent(isNote ? name.slice(0, -'.note'.length) : name))
    if (isNote && held !== undefined) rmSync(path, { force: true })
  }
}

/**
 * When it was moved here or last written, whichever is later. What was written before the clock was set back is dated to
 * now, or it would stay until the clock is there again.
 */
function changedMs(path: string, nowMs: number): number {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return Number.POSITIVE_INFINITY
  const changed = Math.max(stats.ctimeMs, stats.mtimeMs)
  if (!isFuture(changed, nowMs)) return changed
  lutimesSync(path, nowMs / 1000, nowMs / 1000)
  return nowMs
}
