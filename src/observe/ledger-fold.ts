import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { RunTotals } from '../proto/recue/v1/ledger.ts'
import { encodeFrame, framesIn } from './frame.ts'
import { ledgerFiles, runsPath, totalsPath } from './ledger-files.ts'
import { recordsOf } from './ledger-read.ts'
import { noTotals, sumRuns } from './run-totals.ts'

/** Files of records that stay readable one by one: about 80,000 runs with the size of a file. */
const KEPT_FILES = 4

/**
 * Counts the oldest files of records into the totals and removes them. Takes no lock: `totals-N` is made of
 * `totals-(N-1)` and file N alone, appears whole and only once, and only then do those two go. So whoever finds one of
 * them gone comes too late to publish. A file is counted long after the last record was added to it: newer ones follow it.
 */
export function foldOldest(folder: string): void {
  const files = ledgerFiles(folder)
  for (const path of files.stale) rmSync(path, { force: true })
  let foldedTo = files.foldedTo
  for (const n of files.runs.slice(0, -KEPT_FILES)) {
    publish(folder, n, sumRuns(recordsOf(runsPath(folder, n), false), foldedTotals(folder, foldedTo)))
    rmSync(runsPath(folder, n), { force: true })
    if (foldedTo > 0) rmSync(totalsPath(folder, foldedTo), { force: true })
    foldedTo = n
  }
}

/** The totals up to file `foldedTo`; empty ones where they are damaged or gone. */
export function foldedTotals(folder: string, foldedTo: number): RunTotals {
  if (foldedTo === 0) return noTotals()
  try {
    const [frame] = framesIn(readFileSync(totalsPath(folder, foldedTo)), Number.MAX_SAFE_INTEGER)
    return frame === undefined ? noTotals() : RunTotals.decode(frame.payload)
  } catch {
    return noTotals()
  }
}

function publish(folder: string, n: number, totals: RunTotals): void {
  const staged = join(folder, `tmp-${process.pid}-${n}`)
  try {
    writeFileSync(staged, encodeFrame(RunTotals.encode(totals).finish()), { mode: 0o600 })
    // Unlike a rename, a link never replaces: the first of two processes decides.
    linkSync(staged, totalsPath(folder, n))
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  } finally {
    rmSync(staged, { force: true })
  }
}
