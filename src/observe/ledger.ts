import { closeSync, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import type { RunTotals } from '../proto/recue/v1/ledger.ts'
import { RunRecord } from '../proto/recue/v1/recue.ts'
import { encodeFrame, MAX_PAYLOAD_BYTES } from './frame.ts'
import { currentFile, LEDGER_FILE_BYTES, ledgerFilesIfAny, runsPath } from './ledger-files.ts'
import { foldedTotals, foldOldest } from './ledger-fold.ts'
import { recordsOf } from './ledger-read.ts'

/** Every run of every project on this machine, in the order in which they ended. */
export interface Ledger {
  /**
   * Adds one record: synchronous, about 20 µs, seen by other processes when done, and lost by a power cut at most. Never
   * throws: what cannot be written is dropped and published on the channel `recue:ledger`.
   */
  append(record: RunRecord): void
  /** The same of many, for little more than one of them costs. */
  appendAll(records: readonly RunRecord[]): void
  /**
   * The records that are still there one by one, oldest first unless said. Damaged ones are left out; files are read
   * as far as the iteration goes.
   */
  records(options?: { readonly newestFirst?: boolean }): Iterable<RunRecord>
  /** The sums over the records that were rotated away; together with those still there every run is counted once. */
  rotatedTotals(): RunTotals
}

export interface LedgerOptions {
  /** A file of records that has grown so far is followed by a new one. */
  readonly fileBytes?: number
}

const LONGEST_TEXT = 2_000
/** Records in one write: some 20 KiB. */
const MOST_AT_ONCE = 100
/** Messages: `{ folder, error, isDropped }`; when not dropped, only old files could not be summed up. */
function publishFault(fault: { folder: string; error: unknown; isDropped: boolean }): void {
  process.getBuiltinModule('node:diagnostics_channel').channel('recue:ledger').publish(fault)
}

/**
 * The run ledger of a cache folder, in `<dir>/ledger/`. Opens nothing until it is used, and holds nothing open, so there is
 * nothing to close. A file of frames instead of a table, because a run writes exactly one record and a hit has no time
 * for a transaction; processes append to the same file without waiting for each other.
 */
export function openLedger(dir: string, options: LedgerOptions = {}): Ledger {
  const folder = join(dir, 'ledger')
  const fileBytes = options.fileBytes ?? LEDGER_FILE_BYTES
  return {
    append: (record) => appendOrTell(folder, [record], fileBytes),
    appendAll(records) {
      for (let at = 0; at < records.length; at += MOST_AT_ONCE)
        appendOrTell(folder, records.slice(at, at + MOST_AT_ONCE), fileBytes)
    },
    *records({ newestFirst = false } = {}) {
      const { runs } = ledgerFilesIfAny(folder)
      for (const n of newestFirst ? runs.toReversed() : runs) yield* recordsOf(runsPath(folder, n), newestFirst)
    },
    rotatedTotals: () => foldedTotals(folder, ledgerFilesIfAny(folder).foldedTo),
  }
}

function appendOrTell(folder: string, records: readonly RunRecord[], fileBytes: number): void {
  try {
    const [only] = records
    const frames = records.length === 1 && only ? encodeRecord(only) : Buffer.concat(records.map(encodeRecord))
    appendFrames(folder, frames, fileBytes)
  } catch (error) {
    publishFault({ folder, error, isDropped: true })
  }
}

function encodeRecord(record: RunRecord): Buffer {
  const payload = RunRecord.encode(record).finish()
  if (payload.length <= MAX_PAYLOAD_BYTES) return encodeFrame(payload)
  // Only texts can be so long. The thing must stay comparable, so it keeps its end too: its start may be a long folder.
  const { thing, label, root, reason } = record
  const short = { label: cut(label), root: cut(root), reason: cut(reason), thing: `${cut(thing)}${thing.slice(-64)}` }
  return encodeFrame(RunRecord.encode({ ...record, ...short }).finish())
}

function cut(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
}

/** One write of whole frames: the kernel puts writes of different processes to one file one after the other. */
function appendFrames(folder: string, frames: Buffer, fileBytes: number): void {
  const current = currentFileOrNewFolder(folder)
  let file = openToAppend(runsPath(folder, current))
  try {
    const isFull = fstatSync(file).size >= fileBytes
    if (isFull) {
      closeSync(file)
      file = openToAppend(runsPath(folder, current + 1))
    }
    const written = writeSync(file, frames)
    if (written < frames.length) throw new Error(`only ${written} of ${frames.length} bytes could be written`)
    if (isFull) tryToFold(folder)
  } finally {
    closeSync(file)
  }
}

function tryToFold(folder: string): void {
  try {
    foldOldest(folder)
  } catch (error) {
    publishFault({ folder, error, isDropped: false })
  }
}

function currentFileOrNewFolder(folder: string): number {
  try {
    return currentFile(folder)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    makeFolder(folder)
    return currentFile(folder)
  }
}

/** Not recursive: a cache folder that is not there is the store's to make, by its rules of adoption. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another process was faster.
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

function openToAppend(path: string): number {
  return openSync(path, 'a', 0o600)
}
