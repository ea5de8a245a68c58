import { closeSync, fstatSync, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

/** A kernel's tick is 10 ms at the most. */
const TICK_MS = 10

/**
 * Now, by the clock that files are stamped with, in Unix milliseconds: it is some milliseconds behind `Date.now()`, since
 * it moves by ticks, so a file written after this has this stamp or a later one. Asked of a file in `folder`, which is gone
 * again afterwards.
 */
export function fileClockMs(folder: string): number {
  const path = join(folder, `now-${process.pid}-${performance.now()}`)
  try {
    const file = openSync(path, 'wx', 0o600)
    try {
      return fstatSync(file).mtimeMs
    } finally {
      closeSync(file)
      unlinkSync(path)
    }
  } catch {
    return Date.now() - TICK_MS
  }
}
