import {
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename } from 'node:path'
import { systemCode } from '../errors.ts'
import { DEFAULT_SCOPE, type Leases } from '../store/contracts.ts'
import { moveToDamaged } from '../store/local/corrupt.ts'
import type { IndexDb } from '../store/local/index-db.ts'
import { type Layout, segmentLease, segmentPath } from '../store/local/layout.ts'
import type { LocalStore } from '../store/local/local-store.ts'
import { openSegment, readExactly } from '../store/local/record-file.ts'
import { decodeRecord, encodeRecord, RECORD_HEADER_BYTES } from '../store/local/segment.ts'
import type { Fault } from './fault.ts'
import { contentOfFile, isSoundFile, type Orphan, placeOf } from './inspect-blob-files.ts'
import { folderTexts } from './inspect-folder.ts'
import { goodFrames } from './inspect-ledger.ts'

/** `FORMAT` and `CACHEDIR.TAG`, as a new cache has them. */
export function mendFolder(layout: Layout, faults: readonly Fault[]): void {
  for (const { path, text } of folderTexts(layout))
    if (faults.some((fault) => fault.kind === 'folder' && fault.isMendable && fault.file === path)) {
      const staged = `${path}.new`
      writeFileSync(staged, text)
      renameSync(staged, path)
    }
}

/** A copy of the whole file goes aside; its good records take its place. A run that ends at this very moment may be lost. */
export function mendLedger(layout: Layout, file: string): void {
  const name = basename(file)
  const staged = `${file.slice(0, -name.length)}tmp-${process.pid}-mended`
  setAsideCopy(layout, file)
  const frames = goodFrames(readFileSync(file), name)
  if (frames.length === 0) {
    rmSync(file, { force: true })
    return
  }
  writeFileSync(staged, frames, { mode: 0o600 })
  renameSync(staged, file)
}

/**
 * Copies the bytes of a segment that are no record aside, and writes one over them that says nothing. Its writer, if one
 * lives, is further on: what is behind the part that the index knows is never touched. A tail too short for one is cut off.
 */
export async function mendSegment(layout: Layout, leases: Leases, fault: Fault & { kind: 'journal' }): Promise<void> {
  const { segment, offset, bytes: length } = fault
  const path = segmentPath(layout, segment)
  const filler = fillerOf(length)
  const file = openSegment(path)
  if (file === undefined) return
  try {
    const bytes = readExactly(file, offset, length)
    if (bytes === undefined || isRecord(bytes)) return
    mkdirSync(layout.damaged, { recursive: true, mode: 0o700 })
    writeFileSync(`${layout.damaged}/${Date.now()}-${basename(path)}-${offset}`, bytes, { mode: 0o600 })
  } finally {
    closeSync(file)
  }
  if (filler !== undefined) writeAt(path, filler, offset)
  else await cutTail(path, leases, fault)
}

/** Moved aside unless it is sound after all: somebody may have written the blob again meanwhile. */
export async function mendBlobFile(
  layout: Layout,
  index: IndexDb,
  fault: Fault & { kind: 'blob-file' },
): Promise<void> {
  const { hash, codec, file } = fault
  const place = placeOf([index], hash, codec)
  if (place !== undefined && (await isSoundFile(layout, { hash, sizeBytes: place.sizeBytes }, place))) return
  moveToDamaged(layout, file)
}

export function mendBlobTail({ file, keptBytes }: Fault & { kind: 'blob-tail' }): void {
  truncateSync(file, keptBytes)
}

/** Reads a large blob by its file's name alone, and keeps it anew if its content is what it is called; else it goes aside. */
export async function adoptOrphan(store: LocalStore, layout: Layout, { file, hash, codec }: Orphan): Promise<void> {
  // Under another name: a new file of the same blob goes where this one was.
  const moved = `${layout.tmp}/orphan-${hash}`
  try {
    linkSync(file, moved)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
  try {
    const digest = await store.blobs.ingest(DEFAULT_SCOPE, contentOfFile(moved, codec)).catch(() => undefined)
    if (digest?.hash !== hash) moveToDamaged(layout, file)
  } finally {
    rmSync(moved, { force: true })
  }
}

/** A pack of no blobs, with a body that nobody reads. Undefined: too few bytes for a record. */
function fillerOf(recordBytes: number): Uint8Array | undefined {
  if (recordBytes < RECORD_HEADER_BYTES) return undefined
  const body = Buffer.alloc(recordBytes - RECORD_HEADER_BYTES)
  return Buffer.concat(encodeRecord({ kind: 'pack', stampMs: 0, codec: 'raw', digests: [], body }))
}

/** Only where nobody writes to it. */
async function cutTail(path: string, leases: Leases, fault: Fault & { kind: 'journal' }): Promise<void> {
  await using lease = await leases.tryHold(segmentLease(fault.segment))
  const isTail = statSync(path).size === fault.offset + fault.bytes
  if (lease !== undefined && isTail) truncateSync(path, fault.offset)
}

function isRecord(bytes: Uint8Array): boolean {
  return decodeRecord(bytes) !== undefined
}

function setAsideCopy(layout: Layout, path: string): void {
  mkdirSync(layout.damaged, { recursive: true, mode: 0o700 })
  copyFileSync(path, `${layout.damaged}/${Date.now()}-${basename(path)}`)
}

function writeAt(path: string, bytes: Uint8Array, offset: number): void {
  const file = openSync(path, 'r+')
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, offset + at)
  } finally {
    closeSync(file)
  }
}
