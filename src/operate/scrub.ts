import { existsSync } from 'node:fs'
import { sha256Hex } from '../digest/sha256.ts'
import { CacheError } from '../errors.ts'
import type { WorkspaceRecords } from '../store/contracts.ts'
import { packContent } from '../store/local/collector/collector-peek.ts'
import { reportCorruption } from '../store/local/corrupt.ts'
import { Damage } from '../store/local/damage.ts'
import { type IndexDb, openIndexDb } from '../store/local/index-db.ts'
import { type Layout, layoutOf, segmentPath } from '../store/local/layout.ts'
import { segmentsOf } from '../store/local/rebuild.ts'
import { readRecord } from '../store/local/record-file.ts'
import { type BlobPlace, blobKey, decodeBlobPlace } from '../store/local/rows.ts'
import { scanSegment } from '../store/local/salvage.ts'
import type { RecordPlace, SegmentRecord } from '../store/local/segment.ts'
import { verifySegment } from '../store/local/verify-segment.ts'
import { isSoundFile } from './inspect-blob-files.ts'
import { Pace } from './pace.ts'
import { forgetPlace, loadPlace, type ScrubPlace, START, savePlace } from './scrub-place.ts'

export interface ScrubOptions {
  /** Of content and stored bytes read; unless said, as fast as it goes. */
  readonly bytesPerSecond?: number
  /** From the beginning, wherever the last one stopped. */
  readonly fromStart?: boolean
  readonly signal?: AbortSignal
}

export interface ScrubReport {
  readonly blobs: number
  readonly bytes: number
  /** Blobs that were damaged: they are missing now, and kept anew by whoever makes them again. */
  readonly damagedBlobs: number
  /** False: it was interrupted, and the next one goes on from there. */
  readonly isDone: boolean
}

/** What a scrub needs of a store: both `LocalStore` and `Cache` have it. */
export interface Scrubbed {
  readonly dir: string
  readonly records: WorkspaceRecords
}

/**
 * Reads every blob that the index names and computes its SHA-256 anew: also of those that reads hand out without looking.
 * What is damaged is treated as by a read that finds it: told once, moved aside, forgotten. It keeps its place in the store
 * every few seconds and when aborted, so that scrubs of several processes, one after the other, come to an end. Aborting
 * it is no error.
 */
export async function scrub(store: Scrubbed, options: ScrubOptions = {}): Promise<ScrubReport> {
  const { bytesPerSecond = Number.POSITIVE_INFINITY, fromStart = false } = options
  if (!(bytesPerSecond > 0)) throw new CacheError('usage', `A scrub cannot go at ${bytesPerSecond} bytes a second.`)
  const layout = layoutOf(store.dir)
  using index = openIndexDb(layout.index, { readOnly: false, durability: 'fast' })
  const work = new Scrub(store, layout, index, new Pace(bytesPerSecond), options.signal)
  return await work.run(fromStart ? START : loadPlace(store.records))
}

/** A place is worth a transaction so often. */
const SAVE_EVERY_MS = 5_000

class Scrub {
  readonly #store: Scrubbed
  readonly #layout: Layout
  readonly #index: IndexDb
  readonly #pace: Pace
  readonly #signal: AbortSignal | undefined
  readonly #damage: Damage
  #damagedBlobs = 0
  #savedMs = performance.now()
  #blobs = 0
  #bytes = 0

  constructor(store: Scrubbed, layout: Layout, index: IndexDb, pace: Pace, signal: AbortSignal | undefined) {
    this.#store = store
    this.#layout = layout
    this.#index = index
    this.#pace = pace
    this.#signal = signal
    this.#damage = new Damage(index, layout, false)
  }

  async run(from: ScrubPlace): Promise<ScrubReport> {
    let place = from
    let isDone = false
    try {
      for await (const next of this.#places(from)) {
        place = next
        await this.#keepPlace(place)
      }
      isDone = true
    } catch (error) {
      if (this.#signal?.aborted !== true) throw error
    } finally {
      await this.#damage.settled()
      await (isDone ? forgetPlace(this.#store.records) : savePlace(this.#store.records, place))
    }
    return { blobs: this.#blobs, bytes: this.#bytes, damagedBlobs: this.#damagedBlobs, isDone }
  }

  /** After each record and file that is done. */
  async *#places(from: ScrubPlace): AsyncGenerator<ScrubPlace> {
    if (from.kind === 'journal')
      for (const segment of segmentsOf(this.#layout)) {
        if (segment < from.segment) continue
        yield* this.#segment(segment, segment === from.segment ? from.offset : 0)
      }
    await this.#missingSegments()
    const next = this.#index.sql('SELECT hash, place FROM blobs WHERE hash>? AND stored<>0 ORDER BY hash LIMIT 100')
    let after: Uint8Array = blobKey(from.kind === 'files' ? from.afterHash : '')
    for (let rows = next.all(after); rows.length > 0; rows = next.all(after))
      for (const [key, value] of rows as [Uint8Array, Uint8Array][]) {
        const place = decodeBlobPlace(key, value)
        const hash = Buffer.from(key).toString('hex')
        if (place?.kind === 'file') await this.#file(hash, place)
        after = key
        yield { kind: 'files', afterHash: hash }
      }
  }

  async *#segment(segment: number, from: number): AsyncGenerator<ScrubPlace> {
    const path = segmentPath(this.#layout, segment)
    let at = from
    for (const { record, place } of scanSegment(path, segment, { from })) {
      if (place.offset > at) await this.#gap(segment, at)
      at = place.offset + place.recordBytes
      if (record.kind === 'pack') await this.#pack(record, place, path)
      yield { kind: 'journal', segment, offset: at }
    }
    const known = Number(this.#index.sql('SELECT indexed FROM segments WHERE id=?').get(segment)?.[0] ?? 0)
    if (at < known) await this.#gap(segment, at)
  }

  /** Where no record is, rows may still look for theirs. */
  async #gap(segment: number, offset: number): Promise<void> {
    reportCorruption('a part of the journal', `${segmentPath(this.#layout, segment)} at ${offset}`)
    this.#damagedBlobs += await verifySegment(this.#index, this.#layout, segment, offset)
  }

  async #missingSegments(): Promise<void> {
    for (const [id] of this.#index.sql('SELECT id FROM segments WHERE indexed>0').all())
      if (!existsSync(segmentPath(this.#layout, Number(id))))
        this.#damagedBlobs += await verifySegment(this.#index, this.#layout, Number(id))
  }

  async #pack(head: SegmentRecord & { kind: 'pack' }, place: RecordPlace, path: string): Promise<void> {
    const used = head.digests.map(({ hash }) => this.#placeAt(hash, place))
    if (used.every((at) => at === undefined)) return
    const whole = readRecord(path, place)
    const content = whole?.kind === 'pack' ? await packContent(whole).catch(() => undefined) : undefined
    let start = 0
    head.digests.forEach(({ hash, sizeBytes }, ordinal) => {
      const bytes = content?.subarray(start, start + sizeBytes)
      start += sizeBytes
      const at = used[ordinal]
      if (at !== undefined) this.#seen(hash, at, bytes !== undefined && sha256Hex(bytes) === hash)
    })
    await this.#pace.after(place.recordBytes, this.#signal)
  }

  async #file(hash: string, place: BlobPlace & { kind: 'file' }): Promise<void> {
    const isSound = await isSoundFile(this.#layout, { hash, sizeBytes: place.sizeBytes }, place, this.#signal)
    // Written again, or collected, meanwhile.
    const isStill = this.#placeAt(hash, place.record) !== undefined
    if (isStill) this.#seen(hash, place, isSound)
    await this.#pace.after(place.storedBytes, this.#signal)
  }

  #seen(hash: string, place: BlobPlace, isSound: boolean): void {
    this.#blobs++
    this.#bytes += place.sizeBytes
    if (isSound) return
    this.#damagedBlobs++
    this.#damage.blob(hash, place)
  }

  /** The row of the blob, if it names that record. */
  #placeAt(hash: string, { segment, offset }: RecordPlace): BlobPlace | undefined {
    const key = blobKey(hash)
    const row = this.#index.lookUp(
      () => this.#index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined,
      undefined,
    )
    const place = row && decodeBlobPlace(key, row)
    return place?.record.segment === segment && place.record.offset === offset ? place : undefined
  }

  async #keepPlace(place: ScrubPlace): Promise<void> {
    this.#signal?.throwIfAborted()
    if (performance.now() - this.#savedMs < SAVE_EVERY_MS) return
    this.#savedMs = performance.now()
    await savePlace(this.#store.records, place)
  }
}
