import type { Digest } from '../../../digest/digest.ts'
import { decode } from '../compression.ts'
import type { IndexDb } from '../index-db.ts'
import { openLargeBlob, readLargeBlob } from '../large-blob-reader.ts'
import { blobPath, type Layout, segmentPath } from '../layout.ts'
import { readRecord } from '../record-file.ts'
import { type BlobPlace, blobKey, decodeBlobPlace } from '../rows.ts'
import type { SegmentRecord } from '../segment.ts'
import type { PeekBlob } from './collector-marks.ts'

/** Reads blobs without leaving an access mark, and without a word about damage: a reader who needs them will say it. */
export function peeking(index: IndexDb, layout: Layout): PeekBlob {
  return async (digest) => {
    const key = blobKey(digest.hash)
    const row = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
    const place = row && decodeBlobPlace(key, row)
    if (place === undefined || place.sizeBytes !== digest.sizeBytes) return undefined
    try {
      return await contentAt(layout, digest, place)
    } catch {
      return undefined
    }
  }
}

/** The content of one member of a pack, checked; undefined when the record is damaged or has no such member. */
export async function packMember(
  record: SegmentRecord & { kind: 'pack' },
  ordinal: number,
): Promise<Uint8Array | undefined> {
  const wanted = record.digests[ordinal]
  if (wanted === undefined) return undefined
  const content = await packContent(record)
  const start = record.digests.slice(0, ordinal).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return content.subarray(start, start + wanted.sizeBytes)
}

/** The contents of all members, one after the other. Rejects when the frame is damaged. */
export function packContent(record: SegmentRecord & { kind: 'pack' }): Promise<Uint8Array> {
  return decode(
    record.codec,
    record.body,
    record.digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  )
}

async function contentAt(layout: Layout, digest: Digest, place: BlobPlace): Promise<Uint8Array | undefined> {
  if (place.kind === 'inline') return place.bytes
  const record = readRecord(segmentPath(layout, place.record.segment), place.record)
  if (place.kind === 'file') return record?.kind === 'file' ? wholeFile(layout, digest, record) : undefined
  if (record?.kind !== 'pack' || record.digests[place.ordinal]?.hash !== digest.hash) return undefined
  return packMember(record, place.ordinal)
}

/** Only trees and directories are peeked at; one of more than a mebibyte has some ten thousand files. */
async function wholeFile(
  layout: Layout,
  digest: Digest,
  record: SegmentRecord & { kind: 'file' },
): Promise<Uint8Array | undefined> {
  const file = await openLargeBlob(blobPath(layout, digest.hash, record.codec))
  if (file === undefined) return undefined
  const chunks: Uint8Array[] = []
  for await (const chunk of readLargeBlob(file, record, {}, () => undefined)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
