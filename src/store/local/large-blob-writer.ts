import { chmodSync, mkdirSync, readSync, renameSync } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import type { Bytes } from '../contracts.ts'
import { indexFile, isFileInPlace } from './apply-record.ts'
import { BLOCK_BYTES, BlockWriter } from './block-writer.ts'
import type { Compression, Encoded } from './compression.ts'
import { type Checksum, checksumOf } from './content-checksum.ts'
import { explained, isDiskFull } from './explained.ts'
import type { IndexDb } from './index-db.ts'
import type { Journal, SegmentPin } from './journal.ts'
import { blobPath, type Layout, stagingPath } from './layout.ts'
import { mediumTimer } from './medium-time.ts'
import type { Presence } from './presence.ts'
import type { Codec, NewRecord, RecordPlace } from './segment.ts'
import { type StreamChunk, streamChunks } from './stream-chunks.ts'
import { syncFolder } from './sync-folder.ts'

/** Content bytes of a chunk, which is compressed and checked alone: memory is a few of them, whatever the blob's size. */
export const CHUNK_BYTES = 1 << 20
/** Of blobs that come beside so many others: each holds the chunk that it is filling. */
const SMALL_CHUNK_BYTES = 1 << 18
const MANY_BLOBS = 24
/** Beside fewer, each is written in whole blocks: an upload that stands still holds up to one. */
const FEW_BLOBS = 8
const CHECKSUM: Checksum = 'crc32'
/** Chunks of one blob being compressed while the next is read and hashed, */
const CHUNKS_AT_ONCE = 3
/** and of all that come at once in this process: from there on, each blob has one. */
const MOST_CHUNKS_AT_ONCE = 16
let blobsUnderWay = 0
let chunksUnderWay = 0

export interface LargeBlobOptions {
  readonly layout: Layout
  readonly index: IndexDb
  readonly journal: Journal
  readonly presence: Presence
  readonly compression: Compression
  readonly durability: 'fast' | 'full'
  /** Told when something could not be kept for want of room. */
  readonly onFull?: () => void
}

/** A large blob that is staged: its bytes are in `tmp/`, its name is known, nobody can see it. */
export interface StagedBlob extends AsyncDisposable {
  readonly digest: Digest
  /** Announces it in the journal, renames it into place and makes it visible; unless another has kept the blob meanwhile. */
  publish(): Promise<void>
}

/**
 * Streams a blob into a file of its own in one pass: hashed, compressed (on other threads) and checksummed chunk by
 * chunk. Disposed of before it is published, it leaves nothing behind.
 */
export async function stageLargeBlob(
  options: LargeBlobOptions,
  bytes: Bytes,
  signal?: AbortSignal,
): Promise<StagedBlob> {
  const staged = await stage(options, async (path) => {
    await using file = await open(path, 'wx', 0o600)
    const content = await writeChunks(file, bytes, options.compression, signal)
    if (options.durability === 'full') await file.datasync()
    return content
  })
  return staged as StagedBlob
}

/**
 * The same of an open file by a clone of it, which is then read to name it. Undefined, with nothing left behind, when the
 * content is to be compressed, or `clone` says that it cannot be done.
 */
export async function stageClonedBlob(
  options: LargeBlobOptions,
  source: number,
  clone: (path: string) => Promise<boolean>,
  signal?: AbortSignal,
): Promise<StagedBlob | undefined> {
  const sample = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const { codec } = await options.compression.encode(sample.subarray(0, readSync(source, sample, 0, CHUNK_BYTES, 0)))
  if (codec !== 'raw') return undefined
  return stage(options, async (path) => {
    if (!(await clone(path))) return undefined
    chmodSync(path, 0o600)
    await using file = await open(path, 'r')
    const content = await readChunks(file, signal)
    if (options.durability === 'full') await file.datasync()
    return content
  })
}

type StagedRecord = Extract<NewRecord, { kind: 'file' }>
type StagedContent = Pick<StagedRecord, 'digest' | 'codec' | 'checksum' | 'chunkBytes' | 'chunks'>

/** `fill` makes the file at the path it is given, and says what is in it. */
async function stage(
  options: LargeBlobOptions,
  fill: (path: string) => Promise<StagedContent | undefined>,
): Promise<StagedBlob | undefined> {
  const pin = await options.journal.pin()
  const staging = nextStaging()
  const path = stagingPath(options.layout, pin.segment, staging)
  try {
    await mkdir(options.layout.tmp, { recursive: true, mode: 0o700 })
    const content = await fill(path)
    if (content !== undefined) return new Staged(options, pin, path, { kind: 'file', staging, ...content })
    pin[Symbol.dispose]()
    return undefined
  } catch (error) {
    await rm(path, { force: true })
    pin[Symbol.dispose]()
    const failure = explained(error, options.layout.dir)
    if (isDiskFull(failure)) options.onFull?.()
    throw failure
  }
}

class Staged implements StagedBlob {
  readonly digest: Digest
  readonly #options: LargeBlobOptions
  readonly #pin: SegmentPin
  readonly #path: string
  readonly #record: StagedRecord
  #isPublished = false

  constructor(options: LargeBlobOptions, pin: SegmentPin, path: string, record: StagedRecord) {
    this.digest = record.digest
    this.#options = options
    this.#pin = pin
    this.#path = path
    this.#record = record
  }

  async publish(): Promise<void> {
    const { index, layout, presence, journal } = this.#options
    await journal.commit([this.#record], (places, { timeMs, withdraw }) => {
      presence.refresh()
      // Another's file may have the same name and other chunks: exchanged before the commit, it would not be what his record says.
      if (isFileInPlace(index, layout, this.digest.hash)) withdraw()
      else {
        // Within the transaction, after the record is in the journal: a writer that dies from here on has announced the
        // file, and the next one finds it under either name.
        this.#moveIntoPlace()
        this.#isPublished = true
        indexFile(index, layout, { ...this.#record, stampMs: timeMs }, places[0] as RecordPlace, true)
      }
      presence.add(this.digest)
    })
  }

  #moveIntoPlace(): void {
    const { layout, durability } = this.#options
    const target = blobPath(layout, this.digest.hash, this.#record.codec)
    const shard = dirname(target)
    try {
      const isNew = mkdirSync(shard, { recursive: true, mode: 0o700 }) !== undefined
      renameSync(this.#path, target)
      if (durability === 'full') syncFolder(shard)
      if (durability === 'full' && isNew) syncFolder(layout.blobs)
    } catch (error) {
      throw explained(error, layout.dir)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pin[Symbol.dispose]()
    if (!this.#isPublished) await rm(this.#path, { force: true })
  }
}

async function writeChunks(
  file: FileHandle,
  bytes: Bytes,
  compression: Compression,
  signal: AbortSignal | undefined,
): Promise<StagedContent> {
  const chunkBytes = blobsUnderWay < MANY_BLOBS ? CHUNK_BYTES : SMALL_CHUNK_BYTES
  const blockBytes = blobsUnderWay < FEW_BLOBS ? BLOCK_BYTES : 1
  blobsUnderWay++
  const writer = new BlockWriter(file, {
    blockBytes,
    timer: mediumTimer,
    onWrote: (written, ms) => compression.wrote(written, ms),
  })
  const whole = streamDigest()
  const chunks: { storedBytes: number; crc: number }[] = []
  const underWay: Promise<void>[] = []
  let last: Promise<void> | undefined
  let codec: Codec | undefined
  const write = async (encoded: Promise<Encoded>, before: Promise<void> | undefined, chunk: StreamChunk) => {
    try {
      const { stored } = await encoded
      await before
      chunks.push({ storedBytes: stored.length, crc: checksumOf(CHECKSUM, stored) })
      const isChunk = stored === chunk.bytes
      if (!isChunk) chunk.free()
      await writer.write(stored, isChunk ? chunk.free : () => undefined)
    } finally {
      chunksUnderWay--
    }
  }
  try {
    const source = bytes instanceof Uint8Array ? slices(bytes, chunkBytes) : streamChunks(bytes, chunkBytes)
    for await (const chunk of source) {
      signal?.throwIfAborted()
      chunksUnderWay++
      const encoded = compression.encode(chunk.bytes, codec)
      last = write(encoded, last, chunk)
      last.catch(() => undefined)
      underWay.push(last)
      whole.update(chunk.bytes)
      // The first chunk decides for all, so that the file is one stream of frames or the content as it is.
      codec ??= (await encoded).codec
      if (underWay.length >= CHUNKS_AT_ONCE) await underWay.shift()
      if (chunksUnderWay > MOST_CHUNKS_AT_ONCE) await last
    }
    await last
    await writer.end()
  } finally {
    await Promise.allSettled(underWay)
    blobsUnderWay--
  }
  return { digest: whole.digest(), codec: codec ?? 'raw', checksum: CHECKSUM, chunkBytes, chunks }
}

/** Of a file that is there already, kept as it is. */
async function readChunks(file: FileHandle, signal: AbortSignal | undefined): Promise<StagedContent> {
  const whole = streamDigest()
  const chunks: { storedBytes: number; crc: number }[] = []
  for await (const { bytes, free } of streamChunks(contentOf(file), CHUNK_BYTES)) {
    signal?.throwIfAborted()
    whole.update(bytes)
    chunks.push({ storedBytes: bytes.length, crc: checksumOf(CHECKSUM, bytes) })
    free()
  }
  return { digest: whole.digest(), codec: 'raw', checksum: CHECKSUM, chunkBytes: CHUNK_BYTES, chunks }
}

async function* contentOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

/** What is in memory already stays as it is until it is written. */
function* slices(bytes: Uint8Array, chunkBytes: number): Generator<StreamChunk> {
  for (let at = 0; at < bytes.length; at += chunkBytes)
    yield { bytes: bytes.subarray(at, at + chunkBytes), free: () => undefined }
}

let stagings = 0

/** Staging names are the process's own by its segment; the number may start anywhere. */
function nextStaging(): number {
  stagings = (stagings + 1) >>> 0
  return stagings
}
