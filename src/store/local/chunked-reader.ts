import type { Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import type { OpenBytes, ReadOptions } from '../contracts.ts'

/** The content of a chunk, checked; undefined when it is not there. */
export type ReadChunk = (digest: Digest) => Promise<Uint8Array | undefined>

/** Chunks being read while one is handed out: a few threads decompress, and memory stays a few chunks. */
const AHEAD = 3

/**
 * The content of a blob that is kept as chunks, or a part of it, of which only the chunks are read that it touches. One that is
 * not there any more ends the iteration with `store.corrupt`.
 */
export function readChunked(
  digest: Digest,
  chunks: readonly Digest[],
  options: ReadOptions,
  readChunk: ReadChunk,
): OpenBytes {
  const iterator = contentOf(digest, chunks, options, readChunk)
  return {
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {
      await iterator.return(undefined)
    },
  }
}

async function* contentOf(
  digest: Digest,
  chunks: readonly Digest[],
  { offset = 0, length = Number.POSITIVE_INFINITY, signal }: ReadOptions,
  readChunk: ReadChunk,
): AsyncGenerator<Uint8Array, undefined> {
  const end = Math.min(digest.sizeBytes, offset + length)
  const parts = partsWithin(chunks, offset, end)
  const reading: Promise<Uint8Array | undefined>[] = []
  try {
    for (const [i, { from, to }] of parts.entries()) {
      signal?.throwIfAborted()
      for (let next = i + reading.length; next < parts.length && reading.length <= AHEAD; next++)
        reading.push(begun(readChunk((parts[next] as Part).chunk)))
      const content = await reading.shift()
      if (content === undefined) throw lost(digest)
      yield content.subarray(from, to)
    }
  } finally {
    await Promise.allSettled(reading)
  }
}

/** It is awaited later; until then a failure is not to count as one nobody looks at. */
function begun<T>(reading: Promise<T>): Promise<T> {
  reading.catch(() => undefined)
  return reading
}

interface Part {
  readonly chunk: Digest
  /** Of the chunk's content. */
  readonly from: number
  readonly to: number
}

function partsWithin(chunks: readonly Digest[], offset: number, end: number): Part[] {
  const parts: Part[] = []
  let start = 0
  for (const chunk of chunks) {
    const from = Math.max(offset - start, 0)
    const to = Math.min(end - start, chunk.sizeBytes)
    if (from < to) parts.push({ chunk, from, to })
    start += chunk.sizeBytes
  }
  return parts
}

function lost({ hash }: Digest): CacheError {
  return new CacheError('store.corrupt', `Blob ${hash} is no longer whole in the cache.`, { context: { hash } })
}
