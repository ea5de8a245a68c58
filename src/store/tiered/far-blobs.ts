import type { Digest } from '../../digest/digest.ts'
import { CacheError } from '../../errors.ts'
import {
  BATCH_BLOB_BYTES,
  type BatchEntry,
  type BlobStore,
  type OpenBytes,
  type ReadOptions,
  type Scope,
} from '../contracts.ts'
import { openBytes, sliced } from '../open-bytes.ts'
import { readWhole } from '../read-whole.ts'
import { abortable } from '../remote/waiting.ts'
import type { Arriving, Downloads } from './downloads.ts'
import type { FarEnd } from './far-end.ts'
import type { NearTier } from './tiered.ts'

/** What is read at once, and how many such are on their way ahead of who reads: 16 MiB, as the ends themselves do. */
const GROUP = { mostBytes: 4 << 20, mostBlobs: 2_500 }
const GROUPS_AHEAD = 4

/** Blobs that near has not got, through near. A fault of the far end is a blob that is not there. */
export class FarBlobs implements Pick<BlobStore, 'read' | 'readBatch'> {
  readonly #near: NearTier
  readonly #far: FarEnd
  readonly #downloads: Downloads

  constructor(near: NearTier, far: FarEnd, downloads: Downloads) {
    this.#near = near
    this.#far = far
    this.#downloads = downloads
  }

  async read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    const { signal } = options
    signal?.throwIfAborted()
    if (digest.sizeBytes <= BATCH_BLOB_BYTES) {
      for await (const { bytes } of this.readBatch(scope, [digest], signal))
        return bytes && openBytes(sliced(bytes, options))
      return undefined
    }
    const [started] = this.#start(scope, [digest])
    const found = started === undefined ? await this.#near.blobs.read(scope, digest, options) : undefined
    if (found !== undefined) return found
    const arriving = started ?? this.#startAgain(scope, digest)
    if (await abortable(arriving.kept, signal)) return this.#near.blobs.read(scope, digest, options)
    return this.#isToBePassedOn(scope, digest) ? this.#passedOn(scope, digest, options) : undefined
  }

  /** Whether near has a blob now that was on its way there. */
  async arrived(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const arriving = this.#downloads.arriving(scope, digest)
    return arriving !== undefined && abortable(arriving.kept, signal)
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    signal?.throwIfAborted()
    const ahead: AsyncGenerator<BatchEntry>[] = []
    for (const { from, group } of groupsOf(digests)) {
      ahead.push(this.#entries(scope, from, group, this.#start(scope, group), signal))
      if (ahead.length >= GROUPS_AHEAD) yield* ahead.shift() as AsyncGenerator<BatchEntry>
    }
    for (const entries of ahead) yield* entries
  }

  /** Undefined for those that this process fetched while others were read: they are near by now. */
  #start(scope: Scope, digests: readonly Digest[]): (Arriving | undefined)[] {
    const isToCome = digests.map((digest) => {
      return this.#downloads.arriving(scope, digest) !== undefined || !this.#downloads.hasKept(scope, digest)
    })
    const started = this.#downloads.start(
      scope,
      digests.filter((_, index) => isToCome[index]),
    )
    let next = 0
    return isToCome.map((isComing) => (isComing ? started[next++] : undefined))
  }

  /** It was near, and has gone since. */
  #startAgain(scope: Scope, digest: Digest): Arriving {
    this.#downloads.forget(scope, digest)
    return this.#downloads.start(scope, [digest])[0] as Arriving
  }

  async *#entries(
    scope: Scope,
    from: number,
    group: readonly Digest[],
    started: (Arriving | undefined)[],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<BatchEntry> {
    const near = [...group.keys()].filter((index) => started[index] === undefined)
    const digests = near.map((index) => group[index] as Digest)
    for await (const { index, bytes } of near.length === 0 ? [] : this.#near.blobs.readBatch(scope, digests, signal)) {
      const place = near[index] as number
      if (bytes === undefined) started[place] = this.#startAgain(scope, group[place] as Digest)
      else yield { index: from + place, bytes }
    }
    for (const [index, digest] of group.entries()) {
      const arriving = started[index]
      if (arriving === undefined) continue
      const bytes = await abortable(arriving.bytes, signal)
      const isLarge = digest.sizeBytes > BATCH_BLOB_BYTES
      yield { index: from + index, bytes: isLarge ? await this.#large(scope, arriving, signal) : bytes }
    }
  }

  async #large(
    scope: Scope,
    { digest, kept }: Arriving,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const isKept = await abortable(kept, signal)
    if (isKept) return readWhole(this.#near.blobs, scope, digest, signal)
    if (!this.#isToBePassedOn(scope, digest)) return undefined
    return readWhole({ read: this.#passedOn.bind(this) }, scope, digest, signal)
  }

  /** Where near keeps nothing, large blobs, too, come straight from far. */
  #isToBePassedOn(scope: Scope, digest: Digest): boolean {
    return !this.#downloads.isKeeping && !this.#downloads.isGone(scope, digest)
  }

  /** Straight from far: the first bytes are waited for, since an end says there that it has not got the blob whole. */
  async #passedOn(scope: Scope, digest: Digest, options: ReadOptions): Promise<OpenBytes | undefined> {
    const { signal } = options
    const far = this.#far
    const opened = await far.attempt('download', async ({ blobs }) => {
      const bytes = await abortable(blobs.read(scope, digest, { ...options, signal: far.signal }), signal)
      const chunks = bytes?.[Symbol.asyncIterator]()
      return bytes && chunks && { bytes, chunks, first: await chunks.next() }
    })
    signal?.throwIfAborted()
    if (opened === undefined) return undefined
    const { bytes, chunks, first } = opened
    return {
      async *[Symbol.asyncIterator]() {
        try {
          for (let next = first; next.done !== true; next = await chunks.next()) {
            signal?.throwIfAborted()
            yield next.value
          }
        } catch (error) {
          signal?.throwIfAborted()
          far.failed('download', error)
          throw new CacheError('store.corrupt', `${far.place} gave a part of blob ${digest.hash} only.`, {
            cause: error,
          })
        } finally {
          await chunks.return?.()
        }
      },
      [Symbol.asyncDispose]: () => bytes[Symbol.asyncDispose](),
    }
  }
}

interface Group {
  readonly from: number
  readonly group: readonly Digest[]
}

/** In their order, a few MiB each. */
export function* groupsOf(digests: readonly Digest[]): Generator<Group> {
  let from = 0
  let bytes = 0
  for (const [at, { sizeBytes }] of digests.entries()) {
    if (at > from && (bytes + sizeBytes > GROUP.mostBytes || at - from >= GROUP.mostBlobs)) {
      yield { from, group: digests.slice(from, at) }
      from = at
      bytes = 0
    }
    bytes += sizeBytes
  }
  if (from < digests.length) yield { from, group: digests.slice(from) }
}
