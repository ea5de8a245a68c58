import type { Digest } from '../../digest/digest.ts'
import {
  BATCH_BLOB_BYTES,
  type BatchEntry,
  type BlobStore,
  type Bytes,
  type Frames,
  type Ingest,
  type OpenBytes,
  type ReadOptions,
  type Scope,
} from '../contracts.ts'
import { Recently } from '../recently.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'

export interface ThroughBlobsOptions {
  readonly near: { readonly blobs: BlobStore & Ingest; readonly frames: Frames }
  readonly far: Pick<RemoteEnd, 'blobs' | 'frames'>
  /** Near first, then far: what is found there stays here. */
  readonly reads: Pick<BlobStore, 'read' | 'readBatch'>
  readonly now: () => number
}

/**
 * For so long a blob that was seen far is taken to be there still: whoever lets blobs expire there keeps them for days since
 * their last use, and a client that is told that it need not upload one asks for it within the build.
 */
const KNOWN_MS = 10 * 60_000
const ASKED_AT_ONCE = 1_000
/** 40 MB of names. */
const MOST_KNOWN = 200_000

/** Blobs that are kept when they are kept far. */
export class ThroughBlobs implements BlobStore, Ingest, Frames {
  readonly #options: ThroughBlobsOptions
  readonly #known: Recently

  constructor(options: ThroughBlobsOptions) {
    this.#options = options
    this.#known = new Recently(MOST_KNOWN, KNOWN_MS, options.now)
  }

  async missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const unknown = digests.filter((digest) => !this.#isKnown(digest))
    if (unknown.length === 0) return []
    const missing: Digest[] = []
    // In parts, so that who has to ask again for a great many has less to ask for.
    for (let at = 0; at < unknown.length; at += ASKED_AT_ONCE) {
      const part = unknown.slice(at, at + ASKED_AT_ONCE)
      const absent = await this.#options.far.blobs.missing(scope, part, signal)
      const names = new Set(absent.map(nameOf))
      for (const digest of part) if (!names.has(nameOf(digest))) this.#known.add(nameOf(digest))
      for (const digest of absent) missing.push(digest)
    }
    return missing
  }

  read(scope: Scope, digest: Digest, options?: ReadOptions): Promise<OpenBytes | undefined> {
    return this.#options.reads.read(scope, digest, options)
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncIterable<BatchEntry> {
    return this.#options.reads.readBatch(scope, digests, signal)
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    const { near, far } = this.#options
    // A stream is checked by the store here, and can then be read twice.
    await near.blobs.write(scope, digest, bytes, signal)
    if (this.#isKnown(digest)) return
    if (bytes instanceof Uint8Array && bytes.length <= BATCH_BLOB_BYTES) {
      await far.blobs.write(scope, digest, bytes, signal)
      this.#known.add(nameOf(digest))
    } else await this.#upload(scope, digest, signal)
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    const digest = await this.#options.near.blobs.ingest(scope, bytes, signal)
    if (!this.#isKnown(digest)) await this.#upload(scope, digest, signal)
    return digest
  }

  readFrame(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<OpenBytes | undefined> {
    return this.#options.near.frames.readFrame(scope, digest, signal)
  }

  async writeFrame(scope: Scope, digest: Digest, frames: Bytes, signal?: AbortSignal): Promise<void> {
    await this.#options.near.frames.writeFrame(scope, digest, frames, signal)
    if (!this.#isKnown(digest)) await this.#upload(scope, digest, signal)
  }

  #isKnown(digest: Digest): boolean {
    return digest.sizeBytes === 0 || this.#known.has(nameOf(digest))
  }

  /** What was just kept here, as the frames it is kept in where both sides have them. */
  async #upload(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<void> {
    const { near, far } = this.#options
    await using frames = far.frames && (await near.frames.readFrame(scope, digest, signal))
    if (frames !== undefined) await far.frames?.writeFrame(scope, digest, frames, signal)
    else {
      await using bytes = await near.blobs.read(scope, digest, signal === undefined ? {} : { signal })
      if (bytes !== undefined) await far.blobs.write(scope, digest, bytes, signal)
    }
    this.#known.add(nameOf(digest))
  }
}

function nameOf({ hash, sizeBytes }: Digest): string {
  return `${hash}/${sizeBytes}`
}
