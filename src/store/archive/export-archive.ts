import { Readable } from 'node:stream'
import { constants, createZstdCompress } from 'node:zlib'
import { createTarPacker, type TarPackController } from 'modern-tar'
import type { ActionDigest, Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import { type ActionStore, BATCH_BLOB_BYTES, type BlobStore, type Scope } from '../contracts.ts'
import { namedBlobs } from '../named-blobs.ts'
import { readWhole } from '../read-whole.ts'
import { ARCHIVE_VERSION, actionName, blobName, END_NAME, HEAD_NAME } from './archive-names.ts'

export interface ArchiveSource {
  readonly actions: ActionStore
  readonly blobs: BlobStore
}

export interface ExportReport {
  readonly actions: number
  readonly blobs: number
  /** Content bytes of the blobs, before compression. */
  readonly contentBytes: number
  /** Those of the selection under which no whole result is kept. */
  readonly absent: readonly ActionDigest[]
}

export interface ExportOptions {
  readonly scope: Scope
  /** Told when all is written. */
  readonly onEnd?: (report: ExportReport) => void
  readonly signal?: AbortSignal
}

/**
 * The results kept under these keys, with all their blobs, as the bytes of one archive. The same content is the same bytes,
 * in whatever order the keys are given, as long as the same zstd is at work. Flat in memory but for the digests, about 100
 * bytes for each blob. Ends with `store.incomplete` when a blob goes away meanwhile.
 */
export async function* exportArchive(
  from: ArchiveSource,
  keys: readonly ActionDigest[],
  options: ExportOptions,
): AsyncGenerator<Uint8Array> {
  const { readable, controller } = createTarPacker()
  const zstd = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
  })
  const packing = new Packing(from, controller, options)
  const written = packing.write(keys).catch((error: unknown) => {
    controller.error(error)
    throw error
  })
  written.catch(() => undefined)
  const tar = Readable.fromWeb(readable as Parameters<typeof Readable.fromWeb>[0])
  tar.on('error', (error) => zstd.destroy(error))
  try {
    yield* tar.pipe(zstd) as AsyncIterable<Uint8Array>
    options.onEnd?.(await written)
  } finally {
    tar.destroy()
    zstd.destroy()
  }
}

/** An archive is written once and carried about: worth more time than what lies in the store. */
const LEVEL = 6

class Packing {
  readonly #from: ArchiveSource
  readonly #controller: TarPackController
  readonly #options: ExportOptions
  readonly #written = new Set<string>()
  #contentBytes = 0

  constructor(from: ArchiveSource, controller: TarPackController, options: ExportOptions) {
    this.#from = from
    this.#controller = controller
    this.#options = options
  }

  async write(keys: readonly ActionDigest[]): Promise<ExportReport> {
    const absent: ActionDigest[] = []
    await this.#entry(HEAD_NAME, Buffer.from(`${ARCHIVE_VERSION}\n`))
    const sorted = keys.toSorted((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : a.sizeBytes - b.sizeBytes))
    let before: ActionDigest | undefined
    let actions = 0
    for (const key of sorted) {
      if (before !== undefined && key.hash === before.hash && key.sizeBytes === before.sizeBytes) continue
      before = key
      if (await this.#action(key)) actions++
      else absent.push(key)
    }
    await this.#entry(END_NAME, Buffer.from(`${actions} action results, ${this.#written.size} blobs\n`))
    this.#controller.finalize()
    return { actions, blobs: this.#written.size, contentBytes: this.#contentBytes, absent }
  }

  async #action(key: ActionDigest): Promise<boolean> {
    const { scope, signal } = this.#options
    const lookup = await this.#from.actions.get(scope, key, signal)
    if (lookup.kind === 'miss') return false
    const read = (digest: Digest) => readWhole(this.#from.blobs, scope, digest, signal)
    const named = await namedBlobs(lookup.result, read)
    if (named === undefined) return false
    const blobs = named.digests.filter(({ hash }) => !this.#written.has(hash))
    for (const digest of blobs) this.#written.add(digest.hash)
    await this.#smallBlobs(blobs.filter(({ sizeBytes }) => sizeBytes <= BATCH_BLOB_BYTES))
    for (const digest of blobs) if (digest.sizeBytes > BATCH_BLOB_BYTES) await this.#largeBlob(digest)
    await this.#entry(actionName(key, lookup.resultDigest), lookup.encoded)
    return true
  }

  /** Stores give them in the order that is cheapest for them; the archive's order is that of the result. */
  async #smallBlobs(digests: readonly Digest[]): Promise<void> {
    const { scope, signal } = this.#options
    for (let at = 0; at < digests.length; ) {
      const batch = batchFrom(digests, at)
      const found: (Uint8Array | undefined)[] = []
      for await (const { index, bytes } of this.#from.blobs.readBatch(scope, batch, signal))
        found[index] = bytes && new Uint8Array(bytes)
      for (const [index, digest] of batch.entries()) {
        const bytes = found[index]
        if (bytes === undefined) throw gone(digest)
        this.#contentBytes += bytes.length
        await this.#entry(blobName(digest), bytes)
      }
      at += batch.length
    }
  }

  async #largeBlob(digest: Digest): Promise<void> {
    const { scope, signal } = this.#options
    await using bytes = await this.#from.blobs.read(scope, digest, signal === undefined ? {} : { signal })
    if (bytes === undefined) throw gone(digest)
    const writer = this.#open(blobName(digest), digest.sizeBytes)
    for await (const chunk of bytes) await writer.write(new Uint8Array(chunk))
    await writer.close()
    this.#contentBytes += digest.sizeBytes
  }

  async #entry(name: string, bytes: Uint8Array): Promise<void> {
    const writer = this.#open(name, bytes.length)
    if (bytes.length > 0) await writer.write(bytes)
    await writer.close()
  }

  #open(name: string, size: number): WritableStreamDefaultWriter<Uint8Array> {
    this.#options.signal?.throwIfAborted()
    return this.#controller.add({ name, size, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 }).getWriter()
  }
}

/** A few MiB at a time. */
function batchFrom(digests: readonly Digest[], at: number): readonly Digest[] {
  let end = at
  for (let bytes = 0; end < digests.length && bytes < 4 * BATCH_BLOB_BYTES; end++)
    bytes += (digests[end] as Digest).sizeBytes
  return digests.slice(at, end)
}

function gone({ hash }: Digest): CacheError {
  return new CacheError('store.incomplete', `Blob ${hash} went away while it was to be exported.`, {
    hint: 'Something else removed it, or it is damaged: recue doctor --verify. Then export again.',
    context: { hash },
  })
}
