import type { FileHandle } from 'node:fs/promises'
import type { Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import { BATCH_BLOB_BYTES, type BlobStore, type Bytes, type Frames, type OpenBytes, type Scope } from '../contracts.ts'
import { openBytes } from '../open-bytes.ts'
import { indexPack } from './apply-record.ts'
import { FrameReader, noFrame } from './compression/frame-reader.ts'
import { givenFrames } from './compression/given-frames.ts'
import { refuseOther, smallFromFrames } from './compression/small-frames.ts'
import { checksumOf } from './content-checksum.ts'
import type { Damage } from './damage.ts'
import { openLargeBlob } from './large-blob-reader.ts'
import { CHUNK_BYTES, type LargeBlobOptions, stageLargeBlob } from './large-blob-writer.ts'
import { blobPath, segmentPath } from './layout.ts'
import { readRecord } from './record-file.ts'
import { type BlobPlace, blobKey, decodeBlobPlace } from './rows.ts'
import type { RecordPlace, SegmentRecord } from './segment.ts'

export interface LocalFramesOptions extends LargeBlobOptions {
  readonly blobs: BlobStore
  readonly damage: Damage
  readonly readOnly: boolean
}

type FileRecord = SegmentRecord & { kind: 'file' }

/** The frames of blobs that are alone in a pack, and of large ones. */
export function localFrames(options: LocalFramesOptions): Frames {
  return new LocalFrames(options)
}

class LocalFrames implements Frames {
  readonly #options: LocalFramesOptions

  constructor(options: LocalFramesOptions) {
    this.#options = options
  }

  async readFrame(_scope: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
    signal?.throwIfAborted()
    const { layout } = this.#options
    const place = this.#find(digest)
    if (place === undefined || (place.kind === 'file' && place.codec === 'raw')) return undefined
    const record = readRecord(segmentPath(layout, place.record.segment), place.record)
    // Damage is the business of `read`, which the caller turns to: it tells it and heals.
    if (record?.kind === 'pack' && record.codec === 'zstd' && record.digests.length === 1)
      return record.digests[0]?.hash === digest.hash ? openBytes(record.body) : undefined
    if (record?.kind !== 'file' || record.digest.hash !== digest.hash) return undefined
    const file = await openLargeBlob(blobPath(layout, digest.hash, 'zstd'))
    return file && storedChunks(file, record, () => this.#options.damage.blob(digest.hash, place), signal)
  }

  async writeFrame(scope: Scope, digest: Digest, frame: Bytes, signal?: AbortSignal): Promise<void> {
    if (this.#options.readOnly)
      throw new CacheError('store.read-only', 'Nothing was kept: the cache is open for reading only.')
    signal?.throwIfAborted()
    const frames = new FrameReader(frame instanceof Uint8Array ? once(frame) : frame)
    try {
      if (digest.sizeBytes > BATCH_BLOB_BYTES) await this.#writeLarge(scope, digest, frames, signal)
      else await this.#writeSmall(scope, digest, frames, signal)
    } finally {
      await frames.close()
    }
  }

  async #writeSmall(scope: Scope, digest: Digest, frames: FrameReader, signal?: AbortSignal): Promise<void> {
    const { stored } = await smallFromFrames(frames, digest, signal)
    if (digest.sizeBytes === 0 || (await this.#isThere(scope, digest, signal))) return
    await this.#keep(digest, stored)
  }

  async #keep(digest: Digest, body: Uint8Array): Promise<void> {
    const { index, journal, presence } = this.#options
    const record = { kind: 'pack', codec: 'zstd', digests: [digest], body } as const
    await journal.commit([record], (places, { timeMs }) => {
      presence.refresh()
      indexPack(index, record.digests, places[0] as RecordPlace, timeMs)
      presence.add(digest)
    })
  }

  async #writeLarge(scope: Scope, digest: Digest, frames: FrameReader, signal?: AbortSignal): Promise<void> {
    const { content, compression } = givenFrames(frames, CHUNK_BYTES, this.#options.compression)
    await using staged = await stageLargeBlob(
      { ...this.#options, compression },
      upTo(digest.sizeBytes, content),
      signal,
    )
    refuseOther(digest, staged.digest)
    if (!(await this.#isThere(scope, digest, signal))) await staged.publish()
  }

  async #isThere(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    return (await this.#options.blobs.missing(scope, [digest], signal)).length === 0
  }

  /** A damaged row is found by `read`, too. */
  #find(digest: Digest): BlobPlace | undefined {
    const { index } = this.#options
    const key = blobKey(digest.hash)
    const row = index.lookUp(() => index.sql('SELECT place FROM blobs WHERE hash=?').get(key), undefined)
    const place = row && decodeBlobPlace(key, row[0] as Uint8Array)
    return place?.sizeBytes === digest.sizeBytes ? place : undefined
  }
}

/** Ends what is longer than it should be before it fills the disk. */
async function* upTo(sizeBytes: number, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = sizeBytes
  for await (const piece of content) {
    left -= piece.length
    if (left < 0) throw noFrame('larger than the blob')
    yield piece
  }
}

/** The file as it is, chunk by chunk, each checked before it is handed out. */
function storedChunks(
  file: FileHandle,
  { digest, checksum, chunks }: FileRecord,
  onDamage: () => void,
  signal?: AbortSignal,
): OpenBytes {
  async function* read(): AsyncGenerator<Uint8Array, undefined> {
    try {
      let offset = 0
      for (const { storedBytes, crc } of chunks) {
        signal?.throwIfAborted()
        const stored = await readChunk(file, offset, storedBytes)
        if (stored === undefined || checksumOf(checksum, stored) !== crc) {
          onDamage()
          throw damaged(digest)
        }
        yield stored
        offset += storedBytes
      }
    } finally {
      await file.close()
    }
  }
  const iterator = read()
  return {
    [Symbol.asyncIterator]: () => iterator,
    // A generator that never started has no `finally` to run.
    [Symbol.asyncDispose]: async () => {
      await iterator.return(undefined)
      await file.close()
    },
  }
}

async function readChunk(file: FileHandle, offset: number, bytes: number): Promise<Uint8Array | undefined> {
  const chunk = Buffer.allocUnsafeSlow(bytes)
  for (let read = 0; read < bytes; ) {
    const { bytesRead } = await file.read(chunk, read, bytes - read, offset + read)
    if (bytesRead === 0) return undefined
    read += bytesRead
  }
  return chunk
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function damaged({ hash }: Digest): CacheError {
  return new CacheError('store.corrupt', `Blob ${hash} is damaged in the cache; it is no longer used.`, {
    context: { hash },
  })
}
