import { asActionDigest, type Digest } from '../digest/digest.ts'
import { sha256Hex } from '../digest/sha256.ts'
import { openLedger } from '../observe/ledger.ts'
import { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { peeking } from '../store/local/collector/collector-peek.ts'
import type { IndexDb } from '../store/local/index-db.ts'
import type { Layout } from '../store/local/layout.ts'
import { type BlobPlace, blobKey, decodeActionRow, decodeBlobPlace } from '../store/local/rows.ts'
import { decodeDigests } from '../store/local/segment.ts'
import { namedBlobs } from '../store/named-blobs.ts'
import type { Fault, Lost, LostBlob, LostResult } from './fault.ts'
import type { Orphan } from './inspect-blob-files.ts'
import { eachRow } from './inspect-index.ts'

export interface Losses {
  readonly layout: Layout
  /** As it is; undefined where it cannot be used. */
  readonly kept: IndexDb | undefined
  readonly rebuilt: IndexDb
  readonly faults: readonly Fault[]
  /** Files in `blobs/` without a row. */
  readonly orphans: readonly Orphan[]
  readonly signal?: AbortSignal | undefined
}

/**
 * What a repair could not bring back: blobs of which no whole copy is left, and the results that need one of them. And the
 * orphans without which there would be more.
 */
export async function lostBy(losses: Losses): Promise<{ readonly lost: Lost; readonly needed: readonly Orphan[] }> {
  const copies = new Copies(losses)
  const labels = labelsByKey(losses.layout.dir)
  const results: LostResult[] = []
  const lose = (hash: string, sizeBytes: number, instance: string) =>
    results.push({ action: asActionDigest({ hash, sizeBytes }), instance, label: labels.get(hash) })
  const candidates: { key: Uint8Array; value: Uint8Array }[] = []
  const look = async () => {
    for (const { key, value } of candidates.splice(0)) {
      const row = decodeActionRow(key, value)
      if (row === undefined) {
        const has = losses.rebuilt.sql('SELECT 1 FROM actions WHERE key=?').get(key)
        const name = Buffer.from(key)
        if (has === undefined && key.length >= 32) lose(name.toString('hex', 0, 32), 0, name.toString('utf8', 32))
      } else if (!(await copies.hasAll(row.result))) lose(row.action.hash, row.action.sizeBytes, row.instance)
    }
  }
  for (const index of copies.indexes) {
    const isSecond = index === losses.rebuilt && losses.kept !== undefined
    await eachRow(index, 'actions', losses.signal, (key, value) => {
      const isSeen = isSecond && losses.kept?.sql('SELECT 1 FROM actions WHERE key=?').get(key) !== undefined
      if (!isSeen) candidates.push({ key: Buffer.from(key), value: Buffer.from(value) })
    })
    await look()
  }
  return { lost: { results, blobs: copies.lost(losses.faults) }, needed: [...copies.needed] }
}

/** Where whole copies of blobs are, in an index or, by the file's own name, without one. */
class Copies {
  readonly indexes: readonly IndexDb[]
  readonly #layout: Layout
  /** Their bytes are wrong wherever the index says they are. */
  readonly #bad = new Set<string>()
  readonly #badRows = new Set<string>()
  readonly #orphans: ReadonlyMap<string, Orphan>
  readonly needed = new Set<Orphan>()

  constructor({ layout, kept, rebuilt, faults, orphans }: Losses) {
    this.#layout = layout
    this.#orphans = new Map(orphans.map((orphan) => [orphan.hash, orphan]))
    this.indexes = kept === undefined ? [rebuilt] : [kept, rebuilt]
    for (const fault of faults) {
      if (fault.kind === 'content' || fault.kind === 'blob-file') this.#bad.add(fault.hash)
      else if (fault.kind === 'row' && fault.table === 'blobs') this.#badRows.add(hexOf(fault.key))
    }
  }

  async hasAll(result: Uint8Array): Promise<boolean> {
    const named = await namedBlobs(ActionResult.decode(result), (digest) => this.#read(digest))
    return named?.digests.every((digest) => this.#has(digest)) ?? false
  }

  lost(faults: readonly Fault[]): LostBlob[] {
    const hashes = new Set<string>()
    for (const fault of faults) {
      if (fault.kind === 'content' || fault.kind === 'blob-file') hashes.add(fault.hash)
      if (fault.kind === 'row' && fault.table === 'blobs') hashes.add(hexOf(fault.key))
    }
    const digests = [...hashes].map((hash) => ({ hash, sizeBytes: this.#sizeOf(hash) }))
    return digests.filter((digest) => !this.#has(digest))
  }

  #has({ hash, sizeBytes }: Digest): boolean {
    const isKept = this.#places(hash).some(
      ({ place, isRight }) =>
        place.sizeBytes === sizeBytes &&
        (place.kind !== 'chunked' || decodeDigests(Buffer.from(place.chunkList)).every((chunk) => this.#has(chunk))) &&
        ((place.kind === 'inline' && sha256Hex(place.bytes) === hash) || (isRight && !this.#bad.has(hash))),
    )
    const orphan = this.#orphans.get(hash)
    if (!isKept && orphan !== undefined) this.needed.add(orphan)
    return isKept || orphan !== undefined
  }

  async #read(digest: Digest): Promise<Uint8Array | undefined> {
    for (const index of this.indexes) {
      const bytes = await peeking(index, this.#layout)(digest)
      if (bytes !== undefined && sha256Hex(bytes) === digest.hash) return bytes
    }
    return undefined
  }

  #sizeOf(hash: string): number {
    return this.#places(hash)[0]?.place.sizeBytes ?? 0
  }

  #places(hash: string): { place: BlobPlace; isRight: boolean }[] {
    const key = blobKey(hash)
    return this.indexes.flatMap((index, i) => {
      const row = index.sql('SELECT place FROM blobs WHERE hash=?').get(key)?.[0] as Uint8Array | undefined
      const place = row && decodeBlobPlace(key, row)
      const isKept = i === 0 && this.indexes.length > 1
      return place === undefined ? [] : [{ place, isRight: !(isKept && this.#badRows.has(hash)) }]
    })
  }
}

function hexOf(key: Uint8Array | string): string {
  return typeof key === 'string' ? key : Buffer.from(key).toString('hex')
}

/** The newest run with a key says what it was called. */
function labelsByKey(dir: string): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  for (const { key, label } of openLedger(dir).records()) if (key !== undefined) labels.set(key.hash, label)
  return labels
}
