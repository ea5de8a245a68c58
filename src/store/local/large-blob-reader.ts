import { type FileHandle, open } from 'node:fs/promises'
import type { Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import type { OpenBytes, ReadOptions } from '../contracts.ts'
import { decode } from './compression.ts'
import { checksumOf } from './content-checksum.ts'
import type { SegmentRecord } from './segment.ts'

export type FileRecord = SegmentRecord & { kind: 'file' }

export interface OpenBlob {
  readonly file: FileHandle
  readonly record: FileRecord
}

/** What is to be done where the bytes are not what the record says: the blob as it is by now, or undefined where this is damage. */
export type OnMismatch = () => Promise<OpenBlob | undefined> | undefined

/**
 * The content of a large blob's file, or a part of it: chunk by chunk, each checked before it is handed out, the next one
 * being read and decompressed meanwhile. What does not check out, and is not elsewhere by now, ends the iteration with
 * `store.corrupt`. Owns the file.
 */
export function readLargeBlob(blob: OpenBlob, options: ReadOptions, onMismatch: OnMismatch): OpenBytes {
  const chunks = new Chunks(blob, onMismatch)
  const iterator = contentOf(chunks, blob.record, options)
  return {
    [Symbol.asyncIterator]: () => iterator,
    // A generator that never started has no `finally` to run.
    [Symbol.asyncDispose]: async () => {
      await iterator.return(undefined)
      await chunks[Symbol.asyncDispose]()
    },
  }
}

/** Of all readers in this process: where hundreds read at once, one need not be ahead of whom it serves. */
const MOST_AHEAD = 16
let chunksAhead = 0

async function* contentOf(
  chunks: Chunks,
  { digest, chunkBytes }: FileRecord,
  { offset = 0, length = Number.POSITIVE_INFINITY, signal }: ReadOptions,
): AsyncGenerator<Uint8Array, undefined> {
  let ahead: Promise<Uint8Array> | undefined
  try {
    const end = Math.min(digest.sizeBytes, offset + length)
    for (let at = offset; at < end; ) {
      signal?.throwIfAborted()
      const number = Math.floor(at / chunkBytes)
      const content = await (ahead ?? chunks.read(number))
      if (ahead !== undefined) chunksAhead--
      ahead = undefined
      const start = number * chunkBytes
      if (start + chunkBytes < end && chunksAhead < MOST_AHEAD) {
        chunksAhead++
        ahead = chunks.read(number + 1)
        ahead.catch(() => undefined)
      }
      yield content.subarray(at - start, Math.min(end - start, content.length))
      at = start + chunkBytes
    }
  } finally {
    if (ahead !== undefined) chunksAhead--
    await chunks[Symbol.asyncDispose]()
  }
}

class Chunks implements AsyncDisposable {
  readonly #digest: Digest
  readonly #onMismatch: OnMismatch
  readonly #reading = new Set<Promise<Uint8Array>>()
  readonly #files: FileHandle[]
  #source: Promise<Source | undefined>
  #isRenewed = false
  #isClosed = false

  constructor(blob: OpenBlob, onMismatch: OnMismatch) {
    this.#digest = blob.record.digest
    this.#files = [blob.file]
    this.#source = Promise.resolve(new Source(blob))
    this.#onMismatch = onMismatch
  }

  read(number: number): Promise<Uint8Array> {
    const reading = this.#read(number)
    this.#reading.add(reading)
    reading.then(
      () => this.#reading.delete(reading),
      () => this.#reading.delete(reading),
    )
    return reading
  }

  async #read(number: number): Promise<Uint8Array> {
    for (;;) {
      const from = this.#source
      const source = this.#isClosed ? undefined : await from
      if (source === undefined) throw damaged(this.#digest)
      const content = await source.chunk(number)
      if (content !== undefined) return content
      if (this.#source !== from) continue
      // Once: between the look-up and the opening of the file it may have been exchanged, seldom twice.
      this.#source = this.#isRenewed ? Promise.resolve(undefined) : this.#renewed()
      this.#isRenewed = true
    }
  }

  async #renewed(): Promise<Source | undefined> {
    const blob = await this.#onMismatch()
    if (blob === undefined) return undefined
    this.#files.push(blob.file)
    return new Source(blob)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#reading)
    for (const file of this.#files.splice(0)) await file.close()
  }
}

class Source {
  readonly #file: FileHandle
  readonly #record: FileRecord
  readonly #offsets: Float64Array

  constructor({ file, record }: OpenBlob) {
    this.#file = file
    this.#record = record
    this.#offsets = new Float64Array(record.chunks.length)
    let offset = 0
    record.chunks.forEach(({ storedBytes }, i) => {
      this.#offsets[i] = offset
      offset += storedBytes
    })
  }

  /** Undefined: the file does not hold what the record says. */
  async chunk(number: number): Promise<Uint8Array | undefined> {
    const { digest, chunkBytes, codec, checksum, chunks } = this.#record
    const chunk = chunks[number]
    if (chunk === undefined) return undefined
    const stored = Buffer.allocUnsafeSlow(chunk.storedBytes)
    const start = this.#offsets[number] as number
    for (let read = 0; read < stored.length; ) {
      const { bytesRead } = await this.#file.read(stored, read, stored.length - read, start + read)
      if (bytesRead === 0) return undefined
      read += bytesRead
    }
    if (checksumOf(checksum, stored) !== chunk.crc) return undefined
    try {
      return await decode(codec, stored, Math.min(chunkBytes, digest.sizeBytes - number * chunkBytes))
    } catch {
      return undefined
    }
  }
}

function damaged({ hash }: Digest): CacheError {
  return new CacheError('store.corrupt', `Blob ${hash} is damaged in the cache; it is no longer used.`, {
    context: { hash },
  })
}

/** The file, or undefined when it is gone. */
export async function openLargeBlob(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
