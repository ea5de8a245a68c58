import type { Digest } from '../../digest/digest.ts'
import type { IndexDb } from './index-db.ts'
import { MARK_STEP_MS } from './marks.ts'
import { blobKey, decodeBlobPlace } from './rows.ts'
import { decodeDigests } from './segment.ts'

/**
 * What this process knows of which blobs are there, so that a put of 10,000 outputs needs no 10,000 look-ups. Valid for
 * one value of the index's generation: whoever takes blobs away raises it.
 */
export class Presence {
  readonly #index: IndexDb
  readonly #now: () => number
  /** By hash, the size: under another one the blob is not there. */
  readonly #known = new Map<string, number>()
  /** Asked for and not found: a write of these needs no second look. */
  readonly #absent = new Set<string>()
  #generation = 0
  #sinceMs = 0

  constructor(index: IndexDb, now: () => number) {
    this.#index = index
    this.#now = now
  }

  /**
   * Looks at the generation, forgets what was known under another one, and returns it. First thing in a transaction. Forgets
   * from time to time in any case: only what is looked up is marked as used.
   */
  refresh(): number {
    const generation = this.#index.generation()
    const ageMs = this.#now() - this.#sinceMs
    const isOld = ageMs >= MARK_STEP_MS / 2 || ageMs < 0
    if (generation !== this.#generation || isOld || this.#known.size > MOST_KNOWN) this.forget()
    this.#generation = generation
    return generation
  }

  has(digest: Digest): boolean {
    return digest.sizeBytes === 0 || this.#known.get(digest.hash) === digest.sizeBytes
  }

  /** Within the transaction that refreshed: written, or found. */
  add({ hash, sizeBytes }: Digest): void {
    this.#known.set(hash, sizeBytes)
    this.#absent.delete(hash)
  }

  addAbsent(hash: string): void {
    if (this.#absent.size > MOST_KNOWN) this.#absent.clear()
    this.#absent.add(hash)
  }

  isAbsent(hash: string): boolean {
    return this.#absent.has(hash)
  }

  /** One of them that is not there, or undefined: looks up those that are not known. After `refresh`. */
  firstMissing(digests: readonly Digest[]): Digest | undefined {
    const row = this.#index.sql('SELECT place FROM blobs WHERE hash=?')
    for (const digest of digests) {
      if (this.has(digest)) continue
      const key = blobKey(digest.hash)
      const value = row.get(key)?.[0] as Uint8Array | undefined
      const place = value && decodeBlobPlace(key, value)
      if (place?.sizeBytes !== digest.sizeBytes) return digest
      if (place.kind === 'chunked' && this.firstMissing(decodeDigests(place.chunkList)) !== undefined) return digest
      this.#known.set(digest.hash, digest.sizeBytes)
    }
    return undefined
  }

  forget(): void {
    this.#known.clear()
    this.#absent.clear()
    this.#sinceMs = this.#now()
  }
}

/** About 100 MB of strings; a build has seldom a tenth. */
const MOST_KNOWN = 1_000_000
