import { Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError, isCacheError } from '../../errors.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { type ActionStore, BATCH_BLOB_BYTES, type BlobStore, type Scope } from '../contracts.ts'
import { ARCHIVE_VERSION, type EntryName, parseName } from './archive-names.ts'

export interface ArchiveTarget {
  readonly actions: ActionStore
  readonly blobs: BlobStore
}

export interface ImportReport {
  readonly actions: number
  readonly blobs: number
  /** Content bytes of the blobs. */
  readonly contentBytes: number
  /** Of the results, those that were kept already, the same. */
  readonly known: number
  /** Those that took the place of another result for the same action. */
  readonly replaced: number
}

export interface ImportOptions {
  readonly scope: Scope
  readonly signal?: AbortSignal
}

/**
 * Keeps what is in an archive. Every blob and every result is checked against its SHA-256 before it is kept, and a result is
 * put after its blobs; so whatever is wrong with the archive, what was kept until then is whole. Throws `archive.damaged`
 * when it is cut off, not what it says, or no archive, and `store.newer-format` when a newer recue wrote it. Flat in memory.
 */
export async function importArchive(
  to: ArchiveTarget,
  bytes: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportReport> {
  const unpacking = new Unpacking(to, options)
  const source = Readable.from(bytes, { objectMode: false })
  const zstd = createZstdDecompress()
  source.on('error', (error) => zstd.destroy(error))
  const tar = Readable.toWeb(source.pipe(zstd)) as ReadableStream<Uint8Array>
  try {
    for await (const entry of tar.pipeThrough(createTarDecoder({ strict: true }))) {
      options.signal?.throwIfAborted()
      await unpacking.take(entry)
    }
    return await unpacking.end()
  } catch (error) {
    await unpacking.settled()
    throw options.signal?.aborted === true || isCacheError(error) ? error : unreadable(error)
  } finally {
    source.destroy()
    zstd.destroy()
  }
}

/** Small blobs that are being written while the next are read: their commits are shared. */
const MOST_PENDING_BYTES = 8 * BATCH_BLOB_BYTES

class Unpacking {
  readonly #to: ArchiveTarget
  readonly #options: ImportOptions
  #hasHead = false
  #hasEnd = false
  #pending: Promise<void>[] = []
  #pendingBytes = 0
  #report = { actions: 0, blobs: 0, contentBytes: 0, known: 0, replaced: 0 }

  constructor(to: ArchiveTarget, options: ImportOptions) {
    this.#to = to
    this.#options = options
  }

  async take({ header, body }: ParsedTarEntry): Promise<void> {
    const name = parseName(header.name)
    if (!this.#hasHead && name.kind !== 'head') throw damaged('it does not begin as an archive of recue does')
    if (this.#hasEnd) throw damaged('there is more behind its end')
    switch (name.kind) {
      case 'head':
        return this.#head(await wholeOf(body, header.size))
      case 'blob':
        return this.#blob({ hash: name.hash, sizeBytes: header.size }, body)
      case 'action':
        return this.#action(name, await wholeOf(body, header.size))
      case 'end':
        this.#hasEnd = true
        return body.cancel()
      case 'unknown':
        throw damaged(`it has an entry that is none of an archive's: ${JSON.stringify(header.name.slice(0, 100))}`)
    }
  }

  async end(): Promise<ImportReport> {
    await this.#written()
    if (!this.#hasEnd) throw damaged('its end is missing')
    return this.#report
  }

  /** For the way out after a failure, which is the one to be told. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending)
  }

  #head(bytes: Uint8Array): void {
    const version = Number(Buffer.from(bytes).toString())
    if (!Number.isInteger(version) || version < 1) throw damaged('it does not say of what version it is')
    if (version > ARCHIVE_VERSION)
      throw new CacheError(
        'store.newer-format',
        `The archive is of version ${version}; this recue knows up to ${ARCHIVE_VERSION}.`,
        {
          hint: 'Update recue, or export with an older one.',
          context: { version },
        },
      )
    this.#hasHead = true
  }

  async #blob(digest: Digest, body: ReadableStream<Uint8Array>): Promise<void> {
    const { scope, signal } = this.#options
    this.#report.blobs++
    this.#report.contentBytes += digest.sizeBytes
    if (digest.sizeBytes > BATCH_BLOB_BYTES) return this.#largeBlob(digest, body)
    const bytes = await wholeOf(body, digest.sizeBytes)
    if (digestOf(bytes).hash !== digest.hash) throw otherContent(digest)
    const written = this.#to.blobs.write(scope, digest, bytes, signal)
    // It is awaited with the others; until then nobody may call it unhandled.
    written.catch(() => undefined)
    this.#pending.push(written)
    this.#pendingBytes += bytes.length
    if (this.#pendingBytes >= MOST_PENDING_BYTES) await this.#written()
  }

  async #largeBlob(digest: Digest, body: ReadableStream<Uint8Array>): Promise<void> {
    const { scope, signal } = this.#options
    try {
      await this.#to.blobs.write(scope, digest, body, signal)
    } catch (error) {
      throw isCacheError(error) && error.code === 'store.corrupt' ? withCause(otherContent(digest), error) : error
    }
  }

  async #action({ action, resultHash }: EntryName & { kind: 'action' }, bytes: Uint8Array): Promise<void> {
    if (digestOf(bytes).hash !== resultHash) throw damaged(`the result for ${action.hash} is not what its name says`)
    await this.#written()
    const result = decoded(bytes)
    if (result === undefined) throw damaged(`the result for ${action.hash} is no action result`)
    const outcome = await this.#to.actions.put(this.#options.scope, action, result, this.#options.signal)
    this.#report.actions++
    if (outcome === 'same') this.#report.known++
    if (outcome === 'different') this.#report.replaced++
  }

  async #written(): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    await Promise.all(pending)
  }
}

async function wholeOf(body: ReadableStream<Uint8Array>, sizeBytes: number): Promise<Uint8Array> {
  if (sizeBytes > MOST_WHOLE_BYTES) throw damaged('it has an entry of a size that none can have')
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks)
}

/** Small blobs and action results, which hold no file's content beyond a few kilobytes: whatever is larger is no such. */
const MOST_WHOLE_BYTES = 64 << 20

function decoded(bytes: Uint8Array): ActionResult | undefined {
  try {
    return ActionResult.decode(bytes)
  } catch {
    return undefined
  }
}

function otherContent({ hash }: Digest): CacheError {
  return damaged(`blob ${hash} is not what its name says`)
}

function damaged(why: string): CacheError {
  return new CacheError('archive.damaged', `The archive cannot be used further: ${why}.`, {
    hint: 'What was kept of it until here is whole. Copy or export it again.',
  })
}

function unreadable(cause: unknown): CacheError {
  const { code = '', message } = cause as { code?: string; message: string }
  if (code.startsWith('ZSTD') || code === 'Z_BUF_ERROR' || code === '')
    return withCause(damaged('it is no zstd stream, or cut off'), cause)
  return withCause(damaged(message), cause)
}

function withCause(error: CacheError, cause: unknown): CacheError {
  return new CacheError(error.code, error.message, { ...(error.hint !== undefined && { hint: error.hint }), cause })
}
