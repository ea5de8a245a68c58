import { createReadStream, readdirSync, statSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { createZstdDecompress } from 'node:zlib'
import type { Digest } from '../digest/digest.ts'
import { streamDigest } from '../digest/sha256.ts'
import { isCacheError, systemCode } from '../errors.ts'
import type { IndexDb } from '../store/local/index-db.ts'
import { openLargeBlob, readLargeBlob } from '../store/local/large-blob-reader.ts'
import { blobPath, type Layout, segmentPath } from '../store/local/layout.ts'
import { readRecord } from '../store/local/record-file.ts'
import { type BlobPlace, blobKey, decodeBlobPlace } from '../store/local/rows.ts'
import type { Codec } from '../store/local/segment.ts'
import type { Fault } from './fault.ts'

export type FilePlace = BlobPlace & { kind: 'file' }

export type Orphan = Fault & { kind: 'orphan' }

interface BlobFile {
  readonly path: string
  readonly hash: string
  readonly codec: Codec
}

/** The files of large blobs, shard by shard, in the order of their names. Files of other names are nobody's business. */
function* blobFiles(layout: Layout): Generator<BlobFile> {
  for (const shard of namesIn(layout.blobs)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue
    for (const name of namesIn(`${layout.blobs}/${shard}`)) {
      const match = /^([0-9a-f]{64})(\.zst)?$/.exec(name)
      const hash = match?.[1]
      if (hash === undefined || !name.startsWith(shard)) continue
      yield { path: `${layout.blobs}/${shard}/${name}`, hash, codec: match?.[2] === undefined ? 'raw' : 'zstd' }
    }
  }
}

export interface BlobFileInspector {
  readonly layout: Layout
  /** Where to look for the row of a blob: the first that has one counts. */
  readonly indexes: readonly IndexDb[]
  readonly onFault: (fault: Fault) => void
  readonly onBlob: (hashedBytes: number) => void
  /** A file that is sound and that nobody can read by a record. */
  readonly onOrphan: (orphan: Orphan) => void
  readonly signal?: AbortSignal | undefined
}

/** Reads every large blob, its checksums and its SHA-256. */
export async function inspectBlobFiles(inspector: BlobFileInspector): Promise<void> {
  const { layout, indexes, onFault, onBlob, onOrphan, signal } = inspector
  for (const { path, hash, codec } of blobFiles(layout)) {
    await turn(undefined, signal === undefined ? {} : { signal })
    const place = placeOf(indexes, hash, codec)
    const record = place && readRecord(segmentPath(layout, place.record.segment), place.record)
    if (place === undefined || record?.kind !== 'file' || record.digest.hash !== hash) {
      const isSound = (await hashOfFile(path, codec)) === hash
      if (isSound) onOrphan({ kind: 'orphan', file: path, hash, codec })
      else if (place !== undefined) onFault({ kind: 'blob-file', file: path, hash, codec })
    } else if (await isSoundFile(layout, { hash, sizeBytes: place.sizeBytes }, place, signal)) {
      onBlob(place.sizeBytes)
      const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
      if (sizeBytes > place.storedBytes) onFault({ kind: 'blob-tail', file: path, hash, keptBytes: place.storedBytes })
    } else if (statSync(path, { throwIfNoEntry: false })) onFault({ kind: 'blob-file', file: path, hash, codec })
  }
}

/** The content of a large blob's file, without the record that says how to read it in parts. */
export function contentOfFile(path: string, codec: Codec): AsyncIterable<Uint8Array> {
  const stored = createReadStream(path)
  if (codec === 'raw') return stored
  const frames = createZstdDecompress()
  stored.on('error', (error) => frames.destroy(error))
  return stored.pipe(frames)
}

/** Undefined: it cannot be read to its end. */
async function hashOfFile(path: string, codec: Codec): Promise<string | undefined> {
  const content = streamDigest()
  try {
    for await (const chunk of contentOfFile(path, codec)) content.update(chunk)
  } catch {
    return undefined
  }
  return content.digest().hash
}

/** The row of the blob, where it says that it is a file of that codec. */
export function placeOf(indexes: readonly IndexDb[], hash: string, codec: Codec): FilePlace | undefined {
  const key = blobKey(hash)
  for (const index of indexes) {
    const row = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
    const place = row && decodeBlobPlace(key, row)
    if (place?.kind === 'file' && place.codec === codec) return place
  }
  return undefined
}

/** Whether the record, each checksum and the SHA-256 of the content are right. */
export async function isSoundFile(
  layout: Layout,
  digest: Digest,
  place: FilePlace,
  signal?: AbortSignal,
): Promise<boolean> {
  const record = readRecord(segmentPath(layout, place.record.segment), place.record)
  if (record?.kind !== 'file' || record.digest.hash !== digest.hash) return false
  const file = await openLargeBlob(blobPath(layout, digest.hash, place.codec))
  if (file === undefined) return false
  const content = streamDigest()
  try {
    await using bytes = readLargeBlob({ file, record }, signal === undefined ? {} : { signal }, () => undefined)
    for await (const chunk of bytes) content.update(chunk)
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.corrupt') return false
    throw error
  }
  return content.digest().hash === digest.hash
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return []
    throw error
  }
}
