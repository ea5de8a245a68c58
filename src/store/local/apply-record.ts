import { statSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { sha256Hex } from '../../digest/sha256.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { durationOf, namedSizeBytes } from '../named-blobs.ts'
import { placeOf } from './blob-place.ts'
import type { IndexDb } from './index-db.ts'
import { blobPath, type Layout } from './layout.ts'
import { actionKey, blobKey, encodeActionRow, encodeBlobPlace } from './rows.ts'
import { encodeDigests, type RecordPlace, type SegmentRecord } from './segment.ts'

const PUT_BLOB = `
INSERT INTO blobs (hash, place, touched, stored) VALUES (?, ?, ?, ?)
ON CONFLICT (hash) DO UPDATE SET place=excluded.place, touched=excluded.touched, stored=excluded.stored`
const PUT_ACTION = `
INSERT INTO actions (key, value, touched, hits, generation, clock) VALUES (?, ?, ?, ?, ?, (SELECT clock FROM state WHERE id=1))
ON CONFLICT (key) DO UPDATE SET value=excluded.value, touched=excluded.touched, hits=excluded.hits, generation=excluded.generation, clock=excluded.clock`

/**
 * Says in the index what a record of the journal says; within a write transaction, and in the order of the stamps where
 * records are about the same (`applyLate` is for others). Actions are put in as unchecked: the next look-up makes sure that
 * all their blobs are there. `result` of an action record must be whole; the body of a pack is not looked at.
 */
export function applyRecord(index: IndexDb, layout: Layout, record: SegmentRecord, place: RecordPlace): void {
  switch (record.kind) {
    case 'pack':
      indexPack(index, record.digests, place, record.stampMs)
      return
    case 'file':
      indexFile(index, layout, record, place)
      return
    case 'chunked':
      indexChunked(index, record, place)
      return
    case 'action':
      indexAction(index, record, place)
      return
    case 'action-removed':
      index.sql('DELETE FROM actions WHERE key=?').run(actionKey(record.instance, record.action.hash))
      return
    case 'blobs-removed':
      for (const hash of record.hashes) index.sql('DELETE FROM blobs WHERE hash=?').run(blobKey(hash))
      index.raiseGeneration()
      return
    case 'void':
      return
  }
}

/** The rows of a pack's blobs; `inline(ordinal)` gives the bytes of those that are to be in the index too. */
export function indexPack(
  index: IndexDb,
  digests: readonly Digest[],
  record: RecordPlace,
  touchedMs: number,
  inline?: (ordinal: number) => Uint8Array | undefined,
): void {
  const put = index.sql(PUT_BLOB)
  for (let ordinal = 0; ordinal < digests.length; ordinal++) {
    const { hash, sizeBytes } = digests[ordinal] as Digest
    const bytes = inline?.(ordinal)
    const key = blobKey(hash)
    const place =
      bytes === undefined
        ? encodeBlobPlace(key, { kind: 'pack', sizeBytes, record, ordinal })
        : encodeBlobPlace(key, { kind: 'inline', sizeBytes, record, ordinal, bytes })
    put.run(key, place, Math.floor(touchedMs), 0)
  }
}

/**
 * The row of a large blob, if its file is in place and as long as the record says. `isVerified`: the caller knows its content,
 * so that it may be shared as long as it looks as it does now.
 */
export function indexFile(
  index: IndexDb,
  layout: Layout,
  file: SegmentRecord & { kind: 'file' },
  record: RecordPlace,
  isVerified = false,
): void {
  const storedBytes = file.chunks.reduce((sum, chunk) => sum + chunk.storedBytes, 0)
  const stats = statSync(blobPath(layout, file.digest.hash, file.codec), { throwIfNoEntry: false })
  if (stats?.size !== storedBytes) return
  const key = blobKey(file.digest.hash)
  const { codec, digest } = file
  const verified = isVerified ? { mtimeMs: stats.mtimeMs, ino: stats.ino } : undefined
  const place = { kind: 'file', sizeBytes: digest.sizeBytes, record, codec, storedBytes, verified } as const
  index.sql(PUT_BLOB).run(key, encodeBlobPlace(key, place), Math.floor(file.stampMs), storedBytes)
}

/** Whether the index names a file of that blob which is as long as it should be. */
export function isFileInPlace(index: IndexDb, layout: Layout, hash: string): boolean {
  const key = blobKey(hash)
  const place = placeOf(index, key)
  if (place?.kind !== 'file') return false
  return statSync(blobPath(layout, hash, place.codec), { throwIfNoEntry: false })?.size === place.storedBytes
}

/** The row of a blob that is kept as chunks, which may come later, or be gone: whoever looks for it looks for them too. */
export function indexChunked(
  index: IndexDb,
  { digest, chunks, stampMs }: SegmentRecord & { kind: 'chunked' },
  record: RecordPlace,
): void {
  const key = blobKey(digest.hash)
  const place = { kind: 'chunked', sizeBytes: digest.sizeBytes, record, chunkList: encodeDigests(chunks) } as const
  index.sql(PUT_BLOB).run(key, encodeBlobPlace(key, place), Math.floor(stampMs), 0)
}

function indexAction(index: IndexDb, action: SegmentRecord & { kind: 'action' }, record: RecordPlace): void {
  const result = ActionResult.decode(action.result)
  putActionRow(index, action, record, 0, {
    resultHash: sha256Hex(action.result),
    durationMs: durationOf(result),
    contentBytes: namedSizeBytes(result),
  })
}

/** `generation`: that of the index when all blobs were seen to be there; 0 when nobody looked. */
export function putActionRow(
  index: IndexDb,
  action: SegmentRecord & { kind: 'action' },
  record: RecordPlace,
  generation: number,
  facts: { resultHash: string; durationMs: number; contentBytes: number },
): void {
  const key = actionKey(action.instance, action.action.hash)
  const createdMs = Math.floor(action.stampMs)
  const row = encodeActionRow(key, { ...action, ...facts, record, createdMs })
  index.sql(PUT_ACTION).run(key, row, createdMs, 0, generation)
}
