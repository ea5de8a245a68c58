import { closeSync, fstatSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'

const RUNS = /^runs-(\d{8})\.log$/
const STAGED = /^tmp-/
const TOTALS = /^totals-(\d{8})$/

/** What lies in the ledger's folder. */
export interface LedgerFiles {
  /** Numbers of the files of records that still count, oldest first. */
  readonly runs: readonly number[]
  /** The number up to which files are counted in the totals and may be gone; 0 for none. */
  readonly foldedTo: number
  /** Files that a crash left behind: superseded or staged totals, and records that the totals count already. */
  readonly stale: readonly string[]
}

/** Throws `ENOENT` where there is no such folder. */
export function ledgerFiles(folder: string): LedgerFiles {
  const names = readdirSync(folder)
  const totals = numbers(names, TOTALS)
  const runs = numbers(names, RUNS)
  const foldedTo = totals.at(-1) ?? 0
  return {
    runs: runs.filter((n) => n > foldedTo),
    foldedTo,
    stale: [
      ...names.filter((name) => STAGED.test(name)).map((name) => join(folder, name)),
      ...totals.slice(0, -1).map((n) => totalsPath(folder, n)),
      ...runs.filter((n) => n <= foldedTo).map((n) => runsPath(folder, n)),
    ],
  }
}

/**
 * The number of the file that is appended to; that one may be full. On the way of every hit, so it takes one look at the
 * names and no more. Throws `ENOENT` where there is no folder yet.
 */
export function currentFile(folder: string): number {
  let [runs, totals] = ['', '']
  // All numbers have the same width, so the order of names is theirs.
  for (const name of readdirSync(folder)) {
    if (name.startsWith('runs-') && name > runs) runs = name
    else if (name.startsWith('totals-') && name > totals) totals = name
  }
  return Math.max(numberIn(runs), numberIn(totals) + 1)
}

/** A file of records that has grown so far is followed by a new one: about 20,000 runs. */
export const LEDGER_FILE_BYTES: number = 4 << 20

/** The file that is appended to, opened for it; undefined where there is none with room, or it cannot be written. */
export function openLedgerFile(folder: string): number | undefined {
  try {
    const file = openSync(runsPath(folder, currentFile(folder)), 'a', 0o600)
    if (fstatSync(file).size < LEDGER_FILE_BYTES) return file
    closeSync(file)
  } catch {
    // Whoever opens the ledger as a whole says what is wrong with it.
  }
  return undefined
}

/** As {@link ledgerFiles}; a folder that is not there is an empty one. */
export function ledgerFilesIfAny(folder: string): LedgerFiles {
  try {
    return ledgerFiles(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { runs: [], foldedTo: 0, stale: [] }
    throw error
  }
}

export function runsPath(folder: string, n: number): string {
  return join(folder, `runs-${String(n).padStart(8, '0')}.log`)
}

export function totalsPath(folder: string, n: number): string {
  return join(folder, `totals-${String(n).padStart(8, '0')}`)
}

/** 0 for a name without one. */
function numberIn(name: string): number {
  return Number.parseInt(name.slice(name.indexOf('-') + 1), 10) || 0
}

function numbers(names: readonly string[], pattern: RegExp): number[] {
  return names
    .map((name) => pattern.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b)
}
