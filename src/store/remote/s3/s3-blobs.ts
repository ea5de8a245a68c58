import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../../contracts.ts'
import { openBytes, sliced } from '../../open-bytes.ts'
import { readWhole } from '../../read-whole.ts'
import { MOST_CONNECTIONS } from '../http/http-client.ts'
import { ingestBlob, keepBlob } from '../new-blob.ts'
import { readAhead } from '../read-ahead.ts'
import { verified } from '../verified.ts'
import { againWhenBusy } from './again-when-busy.ts'
import type { Bucket } from './bucket.ts'
import { NewBlobs } from './new-blobs.ts'

const AHEAD = { mostBytes: 16 << 20, mostBlobs: MOST_CONNECTIONS }
/** To fetch a blob costs what it costs to ask for it, up to about this. */
const COMES_ALONG_BYTES = 64 << 10
const MOST_ALONG_BYTES = 4 << 20

/** The blobs of a bucket, an object for each. All instances share them. */
export class S3Blobs implements BlobStore, Ingest {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async missing(_: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const missing = new Set<Digest>()
    await eachOf(digests, signal, async (digest) => {
      if (!(await this.#has(digest, signal))) missing.add(digest)
    })
    return digests.filter((digest) => missing.has(digest))
  }

  /** Whether all are there. Small ones come along, and are held for the reads that follow. */
  async hasAll(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<boolean> {
    let leftBytes = MOST_ALONG_BYTES
    let isWhole = true
    await eachOf(digests, signal, async (digest) => {
      if (!isWhole) return
      // What was there a while ago may be gone: of what is held it is asked, too.
      const isHeld = this.#bucket.arrived.get(digest) !== undefined
      const comesAlong = !isHeld && digest.sizeBytes <= Math.min(COMES_ALONG_BYTES, leftBytes)
      if (comesAlong) leftBytes -= digest.sizeBytes
      const isHere = comesAlong
        ? (await this.readHeld(scope, digest, signal)) !== undefined
        : await this.#has(digest, signal)
      if (!isHere) isWhole = false
    })
    return isWhole
  }

  /** A small blob whole, held for the reads that follow. Undefined where it is not there whole. */
  async readHeld(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const bytes = await readWhole(this, scope, digest, signal)
    if (bytes !== undefined) this.#bucket.arrived.add(digest, bytes)
    return bytes
  }

  async read(_: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    const { signal } = options
    signal?.throwIfAborted()
    const { stored, tmpDir, arrived } = this.#bucket
    const here = isEmpty(digest) ? NOTHING : arrived.get(digest)
    if (here !== undefined) return openBytes(sliced(here, options))
    const found = await stored.open(digest, signal)
    if (found === undefined) return undefined
    const wrong = (what: string) => stored.damaged(digest, what)
    const iterator = verified(stored.contentOf(digest, found), digest, { ...options, tmpDir, wrong })
    return {
      [Symbol.asyncIterator]: () => iterator,
      // A generator that never started has no `finally` to run.
      [Symbol.asyncDispose]: async () => {
        await found[Symbol.asyncDispose]()
        await iterator.return(undefined)
      },
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#bucket.client.address
    return readAhead({ read: this.read.bind(this), place }, scope, digests, AHEAD, signal)
  }

  async write(_: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return keepBlob(new NewBlobs(this.#bucket, signal), digest, bytes, signal)
  }

  async ingest(_: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return ingestBlob(new NewBlobs(this.#bucket, signal), bytes, this.#bucket.tmpDir, signal)
  }

  async #has(digest: Digest, signal: AbortSignal | undefined): Promise<boolean> {
    return isEmpty(digest) || (await this.#bucket.stored.look(digest, signal)) !== undefined
  }
}

/** As many at a time as there are connections; no more once one failed. */
async function eachOf(
  digests: readonly Digest[],
  signal: AbortSignal | undefined,
  act: (digest: Digest) => Promise<void>,
): Promise<void> {
  const left = digests.values()
  const isOne = digests.length === 1
  let hasFailed = false
  const work = async () => {
    for (const digest of left) {
      if (hasFailed) return
      try {
        if (isOne) await act(digest)
        else await againWhenBusy(async () => !hasFailed && act(digest), signal)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(MOST_CONNECTIONS, digests.length) }, work))
}

const NOTHING = new Uint8Array(0)

function isEmpty({ hash, sizeBytes }: Digest): boolean {
  return sizeBytes === 0 && hash === EMPTY_DIGEST.hash
}
