import type { FileHandle } from 'node:fs/promises'
import type { Digest } from '../../digest/digest.ts'
import { streamDigest } from '../../digest/sha256.ts'
import { CacheError, systemCode } from '../../errors.ts'
import { BATCH_BLOB_BYTES, type ReadOptions } from '../contracts.ts'
import { streamChunks } from '../local/stream-chunks.ts'
import { bytesOf, namelessFile } from '../nameless-file.ts'

export interface VerifiedOptions extends Pick<ReadOptions, 'offset' | 'length'> {
  /** Where what does not fit into memory lies until it is known to be right; the system's own folder unless said. */
  readonly tmpDir?: string | undefined
  /** Makes the error for bytes that are not the blob. */
  readonly wrong: (what: string) => CacheError
}

/**
 * The bytes of a blob from another machine, or a part of them, once all of them are here and are what the digest says: a few
 * megabytes wait in memory, more in a file. Reads no more of the source than the blob has.
 */
export async function* verified(
  source: AsyncIterable<Uint8Array>,
  digest: Digest,
  { offset = 0, length = Number.POSITIVE_INFINITY, tmpDir, wrong }: VerifiedOptions,
): AsyncGenerator<Uint8Array, undefined> {
  const checked = checkedSource(source, digest, wrong)
  using place = placeInMemory(digest)
  if (place !== undefined) {
    const pieces: Uint8Array[] = []
    for await (const piece of checked) pieces.push(piece)
    yield* partOf(pieces, offset, offset + length)
    return
  }
  await using file = await spooled(checked, tmpDir)
  yield* bytesOf(file, offset, offset + length)
}

function* partOf(pieces: readonly Uint8Array[], start: number, end: number): Generator<Uint8Array> {
  let at = 0
  for (const piece of pieces) {
    const part = piece.subarray(Math.max(0, start - at), Math.max(0, end - at))
    if (part.length > 0) yield part
    at += piece.length
  }
}

/** To make a file, write and read it takes as long as to fetch a few megabytes. */
const MEMORY_BLOB_BYTES = 8 << 20
/** Of all such blobs of this process. */
const MEMORY_BYTES = 32 << 20
let inMemoryBytes = 0

/** Undefined: it waits in a file. */
function placeInMemory({ sizeBytes }: Digest): Disposable | undefined {
  const isTooMuch = sizeBytes > MEMORY_BLOB_BYTES || inMemoryBytes + sizeBytes > MEMORY_BYTES
  if (isTooMuch && sizeBytes > BATCH_BLOB_BYTES) return undefined
  inMemoryBytes += sizeBytes
  return {
    [Symbol.dispose]() {
      inMemoryBytes -= sizeBytes
    },
  }
}

/** Passes on what may still be the blob, and ends well only when it was. */
async function* checkedSource(
  source: AsyncIterable<Uint8Array>,
  { hash, sizeBytes }: Digest,
  wrong: (what: string) => CacheError,
): AsyncGenerator<Uint8Array> {
  const digest = streamDigest()
  let receivedBytes = 0
  for await (const piece of source) {
    receivedBytes += piece.length
    if (receivedBytes > sizeBytes) throw wrong(`more than ${sizeBytes} bytes`)
    digest.update(piece)
    yield piece
  }
  if (receivedBytes < sizeBytes) throw wrong(`${receivedBytes} bytes instead of ${sizeBytes}`)
  const found = digest.digest()
  if (found.hash !== hash) throw wrong(`the bytes of ${found.hash}`)
}

/** All of a stream in a file without a name. Throws what the stream throws, and `store.full`. */
export async function spooled(source: AsyncIterable<Uint8Array>, tmpDir?: string): Promise<FileHandle> {
  const file = await namelessFile(tmpDir)
  try {
    // Each write waits for the one before: no more than a chunk is held.
    for await (const { bytes, free } of streamChunks(source, WRITE_BYTES)) {
      await writeAll(file, bytes)
      free()
    }
    return file
  } catch (error) {
    await file.close()
    throw explained(error)
  }
}

/** What comes over a network comes in pieces of some KiB; of less than this the kernel makes small pieces, too (`block-writer.ts`). */
const WRITE_BYTES = 2 << 20

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten
}

function explained(error: unknown): unknown {
  if (systemCode(error) !== 'ENOSPC' && systemCode(error) !== 'EDQUOT') return error
  return new CacheError('store.full', 'No space is left for a blob that is on its way.', {
    hint: 'TMPDIR says where such blobs lie until they are whole.',
    cause: error,
  })
}
