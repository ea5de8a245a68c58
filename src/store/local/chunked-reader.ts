import type { Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import type { OpenBytes, ReadOptions } from '../contracts.ts'
import { decode } from './compression.ts'
import { readRecord } from './record-file.ts'
import type { BlobPlace } from './rows.ts'
import type { RecordPlace } from './segment.ts'

/** A chunk, and where it was when the list was looked up. */
export interface PlacedChunk {
  readonly digest: Digest
  readonly place: BlobPlace
}

export interface ChunkedReaderOptions extends ReadOptions {
  readonly pathOf: (segment: number) => string
  /** The content of a chunk that is not, or no longer, in a pack at its place; undefined when it is not there at all. */
  readonly readElsewhere: (chunk: Digest) => Promise<Uint8Array | undefined>
}

/** Packs being read and decompressed, on other threads, while one is handed out. */
const AHEAD = 3

/**
 * The content of a blob that is kept as chunks, or a part of it, of which only the chunks are read that it touches; those that
 * were written together are read together. Each is checked as any small blob is. One that is gone ends the iteration with
 * `store.corrupt`.
 */
export function readChunked(digest: Digest, chunks: readonly PlacedChunk[], options: ChunkedReaderOptions): OpenBytes {
  const iterator = contentOf(digest, chunks, options)
  return {
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {
      await iterator.return(undefined)
    },
  }
}

async function* contentOf(
  digest: Digest,
  chunks: readonly PlacedChunk[],
  options: ChunkedReaderOptions,
): AsyncGenerator<Uint8Array, undefined> {
  const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = options
  const groups = groupsOf(partsWithin(chunks, offset, Math.min(digest.sizeBytes, offset + length)))
  const reading: Promise<(Uint8Array | undefined)[]>[] = []
  try {
    for (const [i, group] of groups.entries()) {
      signal?.throwIfAborted()
      for (let next = i + reading.length; next < groups.length && reading.length <= AHEAD; next++)
        reading.push(begun(readGroup(groups[next] as Group, options)))
      const contents = (await reading.shift()) ?? []
      for (const [member, { from, to }] of group.parts.entries()) {
        const content = contents[member]
        if (content === undefined) throw lost(digest)
        yield content.subarray(from, to)
      }
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

interface Part extends PlacedChunk {
  /** Of the chunk's content. */
  readonly from: number
  readonly to: number
}

function partsWithin(chunks: readonly PlacedChunk[], offset: number, end: number): Part[] {
  const parts: Part[] = []
  let start = 0
  for (const chunk of chunks) {
    const from = Math.max(offset - start, 0)
    const to = Math.min(end - start, chunk.digest.sizeBytes)
    if (from < to) parts.push({ ...chunk, from, to })
    start += chunk.digest.sizeBytes
  }
  return parts
}

/** Neighbours that lie in one record. */
interface Group {
  readonly record: RecordPlace
  readonly parts: Part[]
}

function groupsOf(parts: readonly Part[]): Group[] {
  const groups: Group[] = []
  for (const part of parts) {
    const { record } = part.place
    const last = groups.at(-1)
    if (last?.record.segment === record.segment && last.record.offset === record.offset) last.parts.push(part)
    else groups.push({ record, parts: [part] })
  }
  return groups
}

/** What a pack does not give, whether it moved, is damaged or was never in one, is had as any blob is, which tells damage. */
async function readGroup(
  { record, parts }: Group,
  { pathOf, readElsewhere }: ChunkedReaderOptions,
): Promise<(Uint8Array | undefined)[]> {
  const contents = await packContents(pathOf(record.segment), record)
  return Promise.all(parts.map(({ digest }) => contents.get(digest.hash) ?? readElsewhere(digest)))
}

async function packContents(path: string, place: RecordPlace): Promise<ReadonlyMap<string, Uint8Array>> {
  const pack = readRecord(path, place)
  const contents = new Map<string, Uint8Array>()
  if (pack?.kind !== 'pack') return contents
  const sizeBytes = pack.digests.reduce((sum, digest) => sum + digest.sizeBytes, 0)
  try {
    const content = await decode(pack.codec, pack.body, sizeBytes)
    let start = 0
    for (const { hash, sizeBytes: memberBytes } of pack.digests) {
      contents.set(hash, content.subarray(start, start + memberBytes))
      start += memberBytes
    }
  } catch {
    // Damaged: see above.
  }
  return contents
}

function lost({ hash }: Digest): CacheError {
  return new CacheError('store.corrupt', `Blob ${hash} is no longer whole in the cache.`, { context: { hash } })
}
