import { statSync } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import type { Damage } from './damage.ts'
import type { IndexDb } from './index-db.ts'
import { blobPath, type Layout } from './layout.ts'
import type { Marks } from './marks.ts'
import type { Presence } from './presence.ts'
import { type BlobPlace, blobKey, decodeBlobPlace } from './rows.ts'
import { decodeDigests } from './segment.ts'

export interface BlobLookupOptions {
  readonly layout: Layout
  readonly index: IndexDb
  readonly presence: Presence
  readonly marks: Marks
  readonly damage: Damage
  readonly readOnly: boolean
}

type BlobRow = [place: Uint8Array, touchedMs: number]

/** Which blobs are there, and where the index says they are: what is found is marked as used, and a damaged row is told and healed. */
export class BlobLookup {
  readonly #options: BlobLookupOptions
  readonly #index: IndexDb

  constructor(options: BlobLookupOptions) {
    this.#options = options
    this.#index = options.index
  }

  /** Those that a read would not find: all of them where the index cannot be asked. */
  missing(digests: readonly Digest[]): Digest[] {
    const { presence } = this.#options
    const look = () => {
      presence.refresh()
      return digests.filter((digest) => !this.#isFound(digest))
    }
    return this.#index.lookUp(() => this.#index.read(look), [...digests])
  }

  /** In one view of the index. */
  places(digests: readonly Digest[]): (BlobPlace | undefined)[] {
    const look = () => digests.map((digest) => (digest.sizeBytes === 0 ? undefined : this.#find(digest)))
    return this.#index.lookUp(() => this.#index.read(look), [])
  }

  /** So that nothing is written twice. */
  isThere(digest: Digest): boolean {
    const { presence } = this.#options
    if (digest.sizeBytes === 0) return true
    if (presence.isAbsent(digest.hash)) return false
    presence.refresh()
    return this.#isFound(digest)
  }

  /** Undefined also where the index cannot be asked. */
  place(digest: Digest): BlobPlace | undefined {
    return this.#index.lookUp(() => this.#find(digest), undefined)
  }

  /** What was not where it should be is no damage when the collector copied or removed it since it was looked up. */
  isElsewhere(digest: Digest, place: BlobPlace): boolean {
    const now = this.#index.lookUp(() => this.#find(digest), place)
    return now?.record.segment !== place.record.segment || now.record.offset !== place.record.offset
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
}

function fileBytes(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size
}
