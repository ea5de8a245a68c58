import { lstatSync, rmSync, writeFileSync } from 'node:fs'
import { entriesOf } from './quota-usage.ts'

/** As long as Go keeps what nobody asks for. */
const UNUSED_MS = 5 * 24 * 3_600_000
/** A tool that got a path may read it as long as it runs, so what was asked for just now stays, whatever the bound. */
const IN_USE_MS = 2 * 3_600_000
const STALE_MS = 24 * 3_600_000
/** Of the bound: a fifth is freed at a time. */
const LOW_WATER = 0.8

/**
 * Of the files that were lent those go which nobody asked for in days; where the rest has more than `maxBytes`, those asked
 * for longest ago until a fifth of that is free. What they hold is in the store, or can be made again. Bytes freed.
 */
export function sweepLent(folder: string, maxBytes: number, nowMs: number): number {
  const lent = entriesOf(folder).flatMap(({ path, name, isFolder }) => {
    const stats = isFolder ? undefined : lstatSync(path, { throwIfNoEntry: false })
    if (stats === undefined) return []
    if (!/^[0-9a-f]{64}$/.test(name)) {
      if (name.startsWith('making-') && stats.mtimeMs < nowMs - STALE_MS) rmSync(path, { force: true })
      return []
    }
    return [{ path, bytes: stats.size, usedMs: stats.atimeMs }]
  })
  lent.sort((a, b) => a.usedMs - b.usedMs)
  const before = lent.reduce((sum, { bytes }) => sum + bytes, 0)
  const target = before > maxBytes ? maxBytes * LOW_WATER : Number.POSITIVE_INFINITY
  let rest = before
  for (const { path, bytes, usedMs } of lent) {
    if (usedMs > nowMs - IN_USE_MS) break
    if (usedMs > nowMs - UNUSED_MS && rest <= target) break
    rmSync(path, { force: true })
    rest -= bytes
  }
  return before - rest
}

const EVERY_MS = 3_600_000

/** The same once an hour, whoever asks: for those who lend. */
export function sweepLentSometimes(folder: string, maxBytes: number, nowMs: number): void {
  const stamp = `${folder}/swept`
  const stats = lstatSync(stamp, { throwIfNoEntry: false })
  if (stats !== undefined && Math.abs(nowMs - stats.mtimeMs) < EVERY_MS) return
  writeFileSync(stamp, '')
  sweepLent(folder, maxBytes, nowMs)
}
