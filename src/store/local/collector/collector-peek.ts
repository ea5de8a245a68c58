import type { Digest } from '../../../digest/digest.ts'
import { MOST_TREE_BYTES } from '../../named-blobs.ts'
import { placeOf } from '../blob-place.ts'
import { decode } from '../compression.ts'
import type { IndexDb } from '../index-db.ts'
import { openLargeBlob, readLargeBlob } from '../large-blob-reader.ts'
import { blobPath, type Layout, segmentPath } from '../layout.ts'
import { readRecord } from '../record-file.ts'
import { type BlobPlace, blobKey } from '../rows.ts'
import { decodeDigests, type RecordPlace, type SegmentRecord } from '../segment.ts'
import type { PeekBlob } from './collector-marks.ts'
import { samePlace } from './collector-rows.ts'

/** Reads blobs without leaving an access mark, and without a word about damage: a reader who needs them will say it. */
export function peeking(index: IndexDb, layout: Layout): PeekBlob {
  const packs = new LastPack()
  const peek: PeekBlob = async (digest) => {
    const key = blobKey(digest.hash)
    const place = placeOf(index, key)
    if (place === undefined || place.sizeBytes !== digest.sizeBytes) return undefined
    // Named by a client as what it is not.
    if (digest.sizeBytes > MOST_TREE_BYTES) return undefined
    try {
      if (place.kind !== 'chunked') return await contentAt(layout, digest, place, packs)
      return await joined(decodeDigests(place.chunkList), peek)
    } catch {
      return undefined
    }
  }
  return peek
}

async function joined(chunks: readonly Digest[], peek: PeekBlob): Promise<Uint8Array | undefined> {
  const contents: Uint8Array[] = []
  for (const chunk of chunks) {
    const content = await peek(chunk)
    if (content === undefined) return undefined
    contents.push(content)
  }
  return Buffer.concat(contents)
}

/** The pack that was unpacked last: who marks asks for its members one after the other. */
class LastPack {
  #place: RecordPlace | undefined
  #members: ReadonlyMap<string, Uint8Array> = new Map()

  async member(layout: Layout, { hash }: Digest, place: RecordPlace): Promise<Uint8Array | undefined> {
    if (this.#place === undefined || !samePlace(this.#place, place)) {
      const record = readRecord(segmentPath(layout, place.segment), place)
      if (record?.kind !== 'pack') return undefined
      this.#members = membersOf(record.digests, await packContent(record))
      this.#place = place
    }
    return this.#members.get(hash)
  }
}

function membersOf(digests: readonly Digest[], content: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const members = new Map<string, Uint8Array>()
  let offset = 0
  for (const { hash, sizeBytes } of digests) {
    members.set(hash, content.subarray(offset, offset + sizeBytes))
    offset += sizeBytes
  }
  return members
}

/** The contents of all members, one after the other. Rejects when the frame is damaged. */
export function packContent(record: SegmentRecord & { kind: 'pack' }): Promise<Uint8Array> {
  return decode(
    record.codec,
    record.body,
    record.digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  )
}

async function contentAt(
  layout: Layout,
  digest: Digest,
  place: Exclude<BlobPlace, { kind: 'chunked' }>,
  packs: LastPack,
): Promise<Uint8Array | undefined> {
  if (place.kind === 'inline') return place.bytes
  if (place.kind === 'pack') return packs.member(layout, digest, place.record)
  const record = readRecord(segmentPath(layout, place.record.segment), place.record)
  return record?.kind === 'file' ? wholeFile(layout, digest, record) : undefined
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
  for await (const chunk of readLargeBlob({ file, record }, {}, () => undefined)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
