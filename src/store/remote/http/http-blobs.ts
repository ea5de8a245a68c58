import { type Digest, EMPTY_DIGEST } from '../../../digest/digest.ts'
import { CacheError } from '../../../errors.ts'
import type { BatchEntry, BlobStore, Bytes, Ingest, OpenBytes, ReadOptions, Scope } from '../../contracts.ts'
import { openBytes } from '../../open-bytes.ts'
import { checkedPieces } from '../checked-pieces.ts'
import { otherBytes } from '../connection-fault.ts'
import { ingestBlob, keepBlob, once, type Send } from '../new-blob.ts'
import { readAhead } from '../read-ahead.ts'
import { verified } from '../verified.ts'
import { type HttpClient, MOST_CONNECTIONS } from './http-client.ts'

const PIECE_BYTES = 256 << 10
const AHEAD = { mostBytes: 16 << 20, mostBlobs: MOST_CONNECTIONS }

/** The blobs of a server with Bazel's HTTP layout, one request for each: `/cas/{SHA-256}`. */
export function httpBlobs(client: HttpClient, tmpDir: string | undefined): BlobStore & Ingest {
  return new HttpBlobs(client, tmpDir)
}

class HttpBlobs implements BlobStore, Ingest {
  readonly #client: HttpClient
  readonly #tmpDir: string | undefined

  constructor(client: HttpClient, tmpDir: string | undefined) {
    this.#client = client
    this.#tmpDir = tmpDir
  }

  async missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    signal?.throwIfAborted()
    const isMissing: boolean[] = []
    const left = digests.entries()
    const ask = async () => {
      for (const [index, digest] of left) isMissing[index] = !(await this.#has(scope, digest, signal))
    }
    await Promise.all(Array.from({ length: Math.min(MOST_CONNECTIONS, digests.length) }, ask))
    return digests.filter((_, index) => isMissing[index])
  }

  async read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    const { signal } = options
    signal?.throwIfAborted()
    if (isEmpty(digest)) return openBytes(NOTHING)
    const answer = await this.#client.ask({ method: 'GET', path: pathOf(scope, digest), signal })
    if (answer.status !== 200 || (answer.sizeBytes ?? digest.sizeBytes) !== digest.sizeBytes) {
      await answer[Symbol.asyncDispose]()
      return undefined
    }
    const wrong = (what: string) => otherBytes(this.#client.server, digest.hash, what)
    const iterator = verified(answer.body, digest, { ...options, tmpDir: this.#tmpDir, wrong })
    return {
      [Symbol.asyncIterator]: () => iterator,
      // A generator that never started has no `finally` to run.
      [Symbol.asyncDispose]: async () => {
        await answer[Symbol.asyncDispose]()
        await iterator.return(undefined)
      },
    }
  }

  readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const { place } = this.#client.server
    return readAhead({ read: this.read.bind(this), place }, scope, digests, AHEAD, signal)
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return keepBlob(this.#send(scope, signal), digest, bytes, signal)
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    return ingestBlob(this.#send(scope, signal), bytes, this.#tmpDir, signal)
  }

  async #has(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<boolean> {
    if (isEmpty(digest)) return true
    await using answer = await this.#client.ask({ method: 'HEAD', path: pathOf(scope, digest), signal })
    return answer.status === 200 && (answer.sizeBytes ?? digest.sizeBytes) === digest.sizeBytes
  }

  #send(scope: Scope, signal: AbortSignal | undefined): Send {
    const put = (digest: Digest, bytes: AsyncIterable<Uint8Array>) => this.#put(scope, digest, bytes, signal)
    return {
      small: (digest, bytes) => put(digest, once(bytes)),
      large: (digest, bytes) => put(digest, contentOf(digest, bytes)),
    }
  }

  async #put(scope: Scope, digest: Digest, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const body = { sizeBytes: digest.sizeBytes, bytes }
    await using answer = await this.#client.ask({ method: 'PUT', path: pathOf(scope, digest), body, signal })
    if (answer.status < 300) return
    const { place } = this.#client.server
    const code = answer.status === 400 ? 'store.corrupt' : 'remote.failed'
    throw new CacheError(code, `${place} did not take blob ${digest.hash} (HTTP ${answer.status}).`, {
      context: { server: place, hash: digest.hash },
    })
  }
}

const NOTHING = new Uint8Array(0)

function isEmpty({ hash, sizeBytes }: Digest): boolean {
  return sizeBytes === 0 && hash === EMPTY_DIGEST.hash
}

function pathOf({ instance }: Scope, { hash }: Digest): string {
  return `${instance === '' ? '' : `/${instance}`}/cas/${hash}`
}

async function* contentOf(digest: Digest, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const { data } of checkedPieces(digest, bytes, PIECE_BYTES)) yield data
}
