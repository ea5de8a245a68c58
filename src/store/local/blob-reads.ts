import type { Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import type { BatchEntry, OpenBytes, ReadOptions } from '../contracts.ts'
import { openBytes, sliced } from '../open-bytes.ts'
import { readPacks, type Wanted } from './batch-read.ts'
import type { BlobLookup } from './blob-lookup.ts'
import type { Damage } from './damage.ts'
import type { OpenBlob } from './large-blob-reader.ts'
import { blobPath, type Layout, segmentPath } from './layout.ts'
import type { RecentPacks } from './recent-packs.ts'
import { readRecord } from './record-file.ts'
import type { BlobPlace } from './rows.ts'
import { decodeDigests } from './segment.ts'

export interface BlobReadsOptions {
  readonly layout: Layout
  readonly lookup: BlobLookup
  readonly damage: Damage
  readonly recentPacks: RecentPacks | undefined
}

const EMPTY = new Uint8Array(0)

/** Blobs out of rows, packs, files and chunks. What the collector moves meanwhile is found again. */
export class BlobReads {
  readonly #options: BlobReadsOptions
  readonly #lookup: BlobLookup

  constructor(options: BlobReadsOptions) {
    this.#options = options
    this.#lookup = options.lookup
  }

  async read(digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    options.signal?.throwIfAborted()
    if (digest.sizeBytes === 0) return openBytes(EMPTY)
    const place = this.#lookup.place(digest)
    if (place === undefined) return undefined
    if (place.kind === 'inline') return openBytes(sliced(place.bytes, options))
    if (place.kind === 'file') return this.#readFile(digest, place, options)
    if (place.kind === 'chunked') return this.#readChunked(digest, place, options)
    for await (const { bytes } of this.readBatch([digest], options.signal))
      return bytes && openBytes(sliced(bytes, options))
    return undefined
  }

  async *readBatch(digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    signal?.throwIfAborted()
    const wanted: Wanted[] = []
    const others: { index: number; place: BlobPlace | undefined }[] = []
    const places = this.#lookup.places(digests)
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
        yield { index, bytes: place && (await this.#readWhole(digest, signal)) }
      }
    }
    const moved: number[] = []
    const packs = readPacks(wanted, {
      pathOf: (segment) => segmentPath(this.#options.layout, segment),
      onDamage: ({ index, digest, place }) => {
        if (this.#lookup.isElsewhere(digest, place)) moved.push(index)
        else this.#options.damage.blob(digest.hash, place)
      },
      onPack: (place, pack) => recentPacks?.add(place, pack),
      signal,
    })
    for (const entry of packs) if (entry.bytes !== undefined || !moved.includes(entry.index)) yield entry
    if (moved.length === 0) return
    const again = moved.map((index) => digests[index] as Digest)
    for await (const { index, bytes } of this.readBatch(again, signal)) yield { index: moved[index] as number, bytes }
  }

  async #readWhole(digest: Digest, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    await using bytes = await this.read(digest, signal === undefined ? {} : { signal })
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
    digest: Digest,
    place: BlobPlace & { kind: 'file' },
    options: ReadOptions,
  ): Promise<OpenBytes | undefined> {
    const { readLargeBlob } = await import('./large-blob-reader.ts')
    const blob = await this.#openFile(digest, place)
    if (blob !== undefined) return readLargeBlob(blob, options, () => this.#newerFile(digest, place))
    if (this.#lookup.isElsewhere(digest, place)) return this.read(digest, options)
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
    if (!this.#lookup.isElsewhere(digest, before)) {
      this.#options.damage.blob(digest.hash, before)
      return undefined
    }
    const place = this.#lookup.place(digest)
    return place?.kind === 'file' ? this.#openFile(digest, place) : undefined
  }

  async #readChunked(
    digest: Digest,
    place: BlobPlace & { kind: 'chunked' },
    options: ReadOptions,
  ): Promise<OpenBytes | undefined> {
    const { readChunked } = await import('./chunked-reader.ts')
    const digests = decodeDigests(place.chunkList)
    const places = this.#lookup.places(digests)
    const chunks = digests.flatMap((chunk, i) => (places[i] === undefined ? [] : [{ digest: chunk, place: places[i] }]))
    if (chunks.length < digests.length) return undefined
    return readChunked(digest, chunks, {
      ...options,
      pathOf: (segment) => segmentPath(this.#options.layout, segment),
      readElsewhere: (chunk) => this.#readWhole(chunk, options.signal),
    })
  }
}
