import { statSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import {
  BATCH_BLOB_BYTES,
  type BatchEntry,
  type BlobStore,
  type Bytes,
  type Ingest,
  type OpenBytes,
  type ReadOptions,
  type Scope,
} from '../contracts.ts'
import { head } from '../head.ts'
import { openBytes, sliced } from '../open-bytes.ts'
import { readPacks, type Wanted } from './batch-read.ts'
import type { BlobWriter } from './blob-writer.ts'
import type { Damage } from './damage.ts'
import type { IndexDb } from './index-db.ts'
import type { OpenBlob } from './large-blob-reader.ts'
import type { LargeBlobOptions, StagedBlob } from './large-blob-writer.ts'
import { blobPath, segmentPath } from './layout.ts'
import type { Marks } from './marks.ts'
import type { RecentPacks } from './recent-packs.ts'
import { readRecord } from './record-file.ts'
import { type BlobPlace, blobKey, decodeBlobPlace } from './rows.ts'
import { decodeDigests } from './segment.ts'

export interface LocalBlobsOptions extends LargeBlobOptions {
  readonly writer: BlobWriter
  readonly marks: Marks
  readonly damage: Damage
  readonly readOnly: boolean
  readonly chunking: 'off' | 'fastcdc'
  readonly recentPacks: RecentPacks | undefined
}

type BlobRow = [place: Uint8Array, touchedMs: number]

const EMPTY = new Uint8Array(0)

/** The blobs of the engine: small ones in packs in the journal, large ones in files, all found by the index. */
export function localBlobs(options: LocalBlobsOptions): BlobStore & Ingest {
  return new LocalBlobs(options)
}

class LocalBlobs implements BlobStore, Ingest {
  readonly #options: LocalBlobsOptions
  readonly #index: IndexDb

  constructor(options: LocalBlobsOptions) {
    this.#options = options
    this.#index = options.index
  }

  async missing(_scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const { presence } = this.#options
    const look = () => {
      presence.refresh()
      return digests.filter((digest) => !this.#isFound(digest))
    }
    return this.#index.lookUp(() => this.#index.read(look), [...digests])
  }

  /** After `presence.refresh`. */
  #isFound(digest: Digest): boolean {
    const { presence } = this.#options
    if (presence.has(digest)) return true
    const place = this.#find(digest)
    if (place !== undefined && this.#isInPlace(digest, place)) {
      presence.add(digest)
      return true
    }
    presence.addAbsent(digest.hash)
    return false
  }

  async read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    options.signal?.throwIfAborted()
    if (digest.sizeBytes === 0) return openBytes(EMPTY)
    const place = this.#index.lookUp(() => this.#find(digest), undefined)
    if (place === undefined) return undefined
    if (place.kind === 'inline') return openBytes(sliced(place.bytes, options))
    if (place.kind === 'file') return this.#readFile(scope, digest, place, options)
    if (place.kind === 'chunked') return this.#readChunked(scope, digest, place, options)
    for await (const { bytes } of this.readBatch(scope, [digest], options.signal))
      return bytes && openBytes(sliced(bytes, options))
    return undefined
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    signal?.throwIfAborted()
    const wanted: Wanted[] = []
    const others: { index: number; place: BlobPlace | undefined }[] = []
    const places = this.#places(digests)
    digests.forEach((digest, index) => {
      const place = places[index]
      if (place?.kind === 'pack') wanted.push({ index, digest, place })
      else others.push({ index, place })
    })
    const recentPacks = digests.length === 1 ? this.#options.recentPacks : undefined
    const recent = wanted[0] && recentPacks?.find(wanted[0])
    if (recent !== undefined) {
      yield { index: 0, bytes: recent }
      return
    }
    for (const { index, place } of others) {
      const digest = digests[index] as Digest
      if (digest.sizeBytes === 0) yield { index, bytes: EMPTY }
      else if (place?.kind === 'inline') yield { index, bytes: place.bytes }
      else {
        if (place === undefined) this.#options.damage.missingRow()
        yield { index, bytes: place && (await this.#readWhole(scope, digest, signal)) }
      }
    }
    const moved: number[] = []
    const packs = readPacks(wanted, {
      pathOf: (segment) => segmentPath(this.#options.layout, segment),
      onDamage: ({ index, digest, place }) => {
        if (this.#isElsewhere(digest, place)) moved.push(index)
        else this.#options.damage.blob(digest.hash, place)
      },
      onPack: (place, pack) => recentPacks?.add(place, pack),
      signal,
    })
    for (const entry of packs) if (entry.bytes !== undefined || !moved.includes(entry.index)) yield entry
    if (moved.length === 0) return
    const again = moved.map((index) => digests[index] as Digest)
    for await (const { index, bytes } of this.readBatch(scope, again, signal))
      yield { index: moved[index] as number, bytes }
  }

  /** What was not where it should be is no damage when the collector copied or removed it since it was looked up. */
  #isElsewhere(digest: Digest, place: BlobPlace): boolean {
    const now = this.#index.lookUp(() => this.#find(digest), place)
    return now?.record.segment !== place.record.segment || now.record.offset !== place.record.offset
  }

  write(_scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    const { presence, writer, readOnly } = this.#options
    const isSmall = bytes instanceof Uint8Array && bytes.length <= BATCH_BLOB_BYTES
    // Asked for just now by a caller with thousands to write: no promise for each.
    if (isSmall && !readOnly && signal?.aborted !== true && presence.isAbsent(digest.hash))
      return writer.write(digest, bytes)
    return this.#write(digest, bytes, signal)
  }

  async #write(digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    this.#refuseReadOnly()
    signal?.throwIfAborted()
    if (!(bytes instanceof Uint8Array)) return this.#writeStream(digest, bytes, signal)
    if (this.#isThere(digest)) return
    if (bytes.length <= BATCH_BLOB_BYTES) return this.#options.writer.write(digest, bytes)
    return this.#writeLarge(digest, bytes, signal)
  }

  async ingest(_scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    this.#refuseReadOnly()
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { signal })
    if (whole !== undefined) {
      const digest = digestOf(whole)
      if (!this.#isThere(digest)) await this.#options.writer.write(digest, whole)
      return digest
    }
    await using staged = await this.#stage(rest, signal)
    if (!this.#isThere(staged.digest)) await staged.publish()
    return staged.digest
  }

  async #writeStream(digest: Digest, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    if (digest.sizeBytes > BATCH_BLOB_BYTES) return this.#writeLarge(digest, bytes, signal)
    const { whole, rest } = await head(bytes, BATCH_BLOB_BYTES, { expectedBytes: digest.sizeBytes, signal })
    if (whole === undefined) return this.#writeLarge(digest, rest, signal)
    refuseOther(digest, digestOf(whole))
    if (!this.#isThere(digest)) await this.#options.writer.write(digest, whole)
  }

  async #writeLarge(digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    await using staged = await this.#stage(bytes, signal)
    refuseOther(digest, staged.digest)
    if (!this.#isThere(digest)) await staged.publish()
  }

  async #stage(bytes: Bytes, signal?: AbortSignal): Promise<StagedBlob> {
    if (this.#options.chunking === 'fastcdc') {
      const { stageChunked } = await import('./chunked-writer.ts')
      const isThere = (digest: Digest) => this.#isThere(digest)
      return stageChunked({ ...this.#options, isThere }, bytes instanceof Uint8Array ? once(bytes) : bytes, signal)
    }
    const { stageLargeBlob } = await import('./large-blob-writer.ts')
    return stageLargeBlob(this.#options, bytes, signal)
  }

  #places(digests: readonly Digest[]): (BlobPlace | undefined)[] {
    const look = () => digests.map((digest) => (digest.sizeBytes === 0 ? undefined : this.#find(digest)))
    return this.#index.lookUp(() => this.#index.read(look), [])
  }

  /** So that nothing is written twice. */
  #isThere(digest: Digest): boolean {
    const { presence } = this.#options
    if (digest.sizeBytes === 0) return true
    if (presence.isAbsent(digest.hash)) return false
    presence.refresh()
    return this.#isFound(digest)
  }

  /** Where the index says it is; marks it as used. A damaged row, or one of another size, is none. */
  #find(digest: Digest): BlobPlace | undefined {
    const { marks, damage, readOnly } = this.#options
    const key = blobKey(digest.hash)
    const row = this.#index.sql('SELECT place, touched FROM blobs WHERE hash=?').get(key) as unknown as
      | BlobRow
      | undefined
    if (row === undefined) return undefined
    const place = decodeBlobPlace(key, row[0])
    if (place === undefined) damage.row('blobs', key)
    if (place?.sizeBytes !== digest.sizeBytes) return undefined
    if (!readOnly && marks.isDue(row[1])) marks.blob(digest.hash)
    return place
  }

  /** Files and chunks can be lost one by one, and a look at them is cheap beside their size. */
  #isInPlace(digest: Digest, place: BlobPlace): boolean {
    if (place.kind === 'chunked') return decodeDigests(place.chunkList).every((chunk) => this.#isFound(chunk))
    return (
      place.kind !== 'file' || fileBytes(blobPath(this.#options.layout, digest.hash, place.codec)) === place.storedBytes
    )
  }

  async #readWhole(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    await using bytes = await this.read(scope, digest, signal === undefined ? {} : { signal })
    if (bytes === undefined) return undefined
    const chunks: Uint8Array[] = []
    try {
      for await (const chunk of bytes) chunks.push(chunk)
    } catch (error) {
      if (error instanceof CacheError && error.code === 'store.corrupt') return undefined
      throw error
    }
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  }

  async #readFile(
    scope: Scope,
    digest: Digest,
    place: BlobPlace & { kind: 'file' },
    options: ReadOptions,
  ): Promise<OpenBytes | undefined> {
    const { readLargeBlob } = await import('./large-blob-reader.ts')
    const blob = await this.#openFile(digest, place)
    if (blob !== undefined) return readLargeBlob(blob, options, () => this.#newerFile(digest, place))
    if (this.#isElsewhere(digest, place)) return this.read(scope, digest, options)
    this.#options.damage.blob(digest.hash, place)
    return undefined
  }

  async #openFile(digest: Digest, place: BlobPlace & { kind: 'file' }): Promise<OpenBlob | undefined> {
    const { layout } = this.#options
    const { openLargeBlob } = await import('./large-blob-reader.ts')
    const record = readRecord(segmentPath(layout, place.record.segment), place.record)
    if (record?.kind !== 'file' || record.digest.hash !== digest.hash) return undefined
    const file = await openLargeBlob(blobPath(layout, digest.hash, place.codec))
    return file && { file, record }
  }

  /** The file may be another than the row told of: the blob was removed and kept again since, or its record was moved. */
  async #newerFile(digest: Digest, before: BlobPlace & { kind: 'file' }): Promise<OpenBlob | undefined> {
    if (!this.#isElsewhere(digest, before)) {
      this.#options.damage.blob(digest.hash, before)
      return undefined
    }
    const place = this.#index.lookUp(() => this.#find(digest), undefined)
    return place?.kind === 'file' ? this.#openFile(digest, place) : undefined
  }

  async #readChunked(
    scope: Scope,
    digest: Digest,
    place: BlobPlace & { kind: 'chunked' },
    options: ReadOptions,
  ): Promise<OpenBytes | undefined> {
    const { readChunked } = await import('./chunked-reader.ts')
    const digests = decodeDigests(place.chunkList)
    const places = this.#places(digests)
    const chunks = digests.flatMap((chunk, i) => (places[i] === undefined ? [] : [{ digest: chunk, place: places[i] }]))
    if (chunks.length < digests.length) return undefined
    return readChunked(digest, chunks, {
      ...options,
      pathOf: (segment) => segmentPath(this.#options.layout, segment),
      readElsewhere: (chunk) => this.#readWhole(scope, chunk, options.signal),
    })
  }

  #refuseReadOnly(): void {
    if (!this.#options.readOnly) return
    throw new CacheError('store.read-only', 'Nothing was kept: the cache is open for reading only.')
  }
}

function refuseOther(said: Digest, found: Digest): void {
  if (said.hash === found.hash && said.sizeBytes === found.sizeBytes) return
  throw new CacheError('store.corrupt', `The bytes are not those of blob ${said.hash}: they are ${found.hash}.`, {
    context: { expected: said.hash, found: found.hash },
  })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function fileBytes(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size
}
