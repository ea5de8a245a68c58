import { type FileHandle, open } from 'node:fs/promises'
import { crc32c } from '../../digest/crc32c.ts'
import { CacheError } from '../../errors.ts'
import type { OpenBytes, ReadOptions } from '../contracts.ts'
import { decode } from './compression.ts'
import type { SegmentRecord } from './segment.ts'

export type FileRecord = SegmentRecord & { kind: 'file' }

/**
 * The content of a large blob's file, or a part of it: chunk by chunk, each checked before it is handed out, the next one
 * being read and decompressed meanwhile. What does not check out is told to `onDamage` and ends the iteration with
 * `store.corrupt`. Owns the file.
 */
export function readLargeBlob(
  file: FileHandle,
  record: FileRecord,
  options: ReadOptions,
  onDamage: () => void,
): OpenBytes {
  const chunks = new Chunks(file, record, onDamage)
  const iterator = contentOf(chunks, record, options)
  return {
    [Symbol.asyncIterator]: () => iterator,
    // A generator that never started has no `finally` to run.
    [Symbol.asyncDispose]: async () => {
      await iterator.return(undefined)
      await chunks[Symbol.asyncDispose]()
    },
  }
}

async function* contentOf(
  chunks: Chunks,
  { digest, chunkBytes }: FileRecord,
  { offset = 0, length = Number.POSITIVE_INFINITY, signal }: ReadOptions,
): AsyncGenerator<Uint8Array, undefined> {
  try {
    const end = Math.min(digest.sizeBytes, offset + length)
    let ahead: Promise<Uint8Array> | undefined
    for (let at = offset; at < end; ) {
      signal?.throwIfAborted()
      const number = Math.floor(at / chunkBytes)
      const content = await (ahead ?? chunks.read(number))
      const start = number * chunkBytes
      ahead = start + chunkBytes < end ? chunks.read(number + 1) : undefined
      ahead?.catch(() => undefined)
      yield content.subarray(at - start, Math.min(end - start, content.length))
      at = start + chunkBytes
    }
    await ahead
  } finally {
    await chunks[Symbol.asyncDispose]()
  }
}

class Chunks implements AsyncDisposable {
  readonly #record: FileRecord
  readonly #offsets: Float64Array
  readonly #onDamage: () => void
  readonly #reading = new Set<Promise<Uint8Array>>()
  #file: FileHandle | undefined

  constructor(file: FileHandle, record: FileRecord, onDamage: () => void) {
    this.#file = file
    this.#record = record
    this.#onDamage = onDamage
    this.#offsets = new Float64Array(record.chunks.length)
    let offset = 0
    record.chunks.forEach(({ storedBytes }, i) => {
      this.#offsets[i] = offset
      offset += storedBytes
    })
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
    const { digest, chunkBytes, codec, chunks } = this.#record
    const chunk = chunks[number]
    const file = this.#file
    if (chunk === undefined || file === undefined) throw this.#damaged()
    const stored = Buffer.allocUnsafeSlow(chunk.storedBytes)
    let read = 0
    while (read < stored.length) {
      const { bytesRead } = await file.read(
        stored,
        read,
        stored.length - read,
        (this.#offsets[number] as number) + read,
      )
      if (bytesRead === 0) throw this.#damaged()
      read += bytesRead
    }
    if (crc32c(stored) !== chunk.crc) throw this.#damaged()
    try {
      return await decode(codec, stored, Math.min(chunkBytes, digest.sizeBytes - number * chunkBytes))
    } catch (error) {
      throw this.#damaged(error)
    }
  }

  #damaged(cause?: unknown): CacheError {
    this.#onDamage()
    const { hash } = this.#record.digest
    return new CacheError('store.corrupt', `Blob ${hash} is damaged in the cache; it is no longer used.`, {
      context: { hash },
      cause,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await Promise.allSettled(this.#reading)
    await file?.close()
  }
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
