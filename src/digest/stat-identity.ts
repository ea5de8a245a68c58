/**
 * What `lstat` says of a file, as far as it tells one content from another. Times are milliseconds with the fraction that
 * a double holds (a quarter of a microsecond).
 */
export interface StatIdentity {
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly size: number
  readonly ino: number
  /** Type and permission bits. */
  readonly mode: number
}

export function statIdentity(stats: StatIdentity): StatIdentity {
  return { mtimeMs: stats.mtimeMs, ctimeMs: stats.ctimeMs, size: stats.size, ino: stats.ino, mode: stats.mode }
}

export function sameIdentity(a: StatIdentity, b: StatIdentity): boolean {
  return a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.size === b.size && a.ino === b.ino && a.mode === b.mode
}

/** A kernel stamps files with the time of its last tick: 10 ms at the slowest common rate, twice that to be safe. */
const TICK_MS = 20
/** FAT keeps mtimes in steps of 2 s; some network file systems in whole seconds. */
const COARSE_MS = 2_000

/**
 * Whether a file could be changed again without its identity showing it: it was stamped so shortly before `takenAtMs`
 * (the time before the file was looked at) that a later write may get the same stamp. git's racy-clean rule
 * (Documentation/technical/racy-git.adoc). What is racy is hashed again, never trusted.
 */
export function isRacy(identity: StatIdentity, takenAtMs: number): boolean {
  const newest = Math.max(identity.mtimeMs, identity.ctimeMs)
  const isCoarse = identity.mtimeMs % 1000 === 0 && identity.ctimeMs % 1000 === 0
  return newest > takenAtMs - (isCoarse ? COARSE_MS : TICK_MS)
}
