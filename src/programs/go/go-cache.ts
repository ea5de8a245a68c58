import { createReadStream } from 'node:fs'
import type { Digest } from '../../digest/digest.ts'
import { findArtifact, recordArtifact } from '../../server/artifacts.ts'
import { type ActionStore, BATCH_BLOB_BYTES, type BlobStore, DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import type { LentFile, LentFiles } from '../../store/local/lent-files.ts'
import { readWhole } from '../../store/read-whole.ts'
import { type LaterWork, laterWork } from '../later-work.ts'
import type { GoServer } from './go-server.ts'

/** An output of an action of the go command, in a file that Go may read as long as it runs. */
export interface GoOutput {
  readonly digest: Digest
  /** Unix milliseconds. */
  readonly madeMs: number
  readonly path: string
}

export interface GoCacheParts {
  /** Undefined: nothing is kept on this machine. */
  readonly store: { readonly blobs: BlobStore; readonly actions: ActionStore } | undefined
  readonly lent: LentFiles
  readonly server: GoServer | undefined
  /** Told of what failed while Go was told of a miss. */
  onFault(error: unknown): void
}

/** Go's build cache on our store: what was kept here first, then what a server has. */
export interface GoCache {
  /** Nothing is under way that would need this process to go on. */
  readonly isIdle: boolean
  /** Undefined is a miss, whatever the reason. */
  get(action: string): Promise<GoOutput | undefined>
  begin(): LentFile
  /** Lends the file to Go, and keeps it later, here and at the server. Throws `store.corrupt` where it is not what `digest` says. */
  put(action: string, file: LentFile, digest: Digest): GoOutput
  /** Ends what is under way, in a bounded time. */
  finish(): Promise<void>
}

/** Small outputs are kept in one commit with others that wait. */
const KEPT_AT_ONCE = 16
const SENT_AT_ONCE = 8
/** A build is over then, and somebody waits for it. */
const KEEP_MS = 30_000
const SEND_MS = 10_000

export function goCache(parts: GoCacheParts): GoCache {
  return new StoredGoCache(parts)
}

class StoredGoCache implements GoCache {
  readonly #parts: GoCacheParts
  readonly #keeping: LaterWork
  readonly #sending: LaterWork
  readonly #fetching = new AbortController()
  /** What this go command made, which it may ask for before it is kept. */
  readonly #own = new Map<string, GoOutput>()

  constructor(parts: GoCacheParts) {
    this.#parts = parts
    const { onFault, server } = parts
    this.#keeping = laterWork({ atOnce: KEPT_AT_ONCE, onFault })
    this.#sending = laterWork({ atOnce: SENT_AT_ONCE, onFault })
    // Nothing may stand still while its first answer is on the way.
    if (server !== undefined) this.#sending.add(async () => void (await server.known()))
  }

  get isIdle(): boolean {
    return this.#keeping.isIdle && this.#sending.isIdle
  }

  async get(action: string): Promise<GoOutput | undefined> {
    const own = this.#own.get(action)
    if (own !== undefined) return own
    return (await this.#orMiss(() => this.#here(action))) ?? (await this.#orMiss(() => this.#there(action)))
  }

  begin(): LentFile {
    return this.#parts.lent.begin()
  }

  put(action: string, file: LentFile, digest: Digest): GoOutput {
    const output = { digest, madeMs: Date.now(), path: file.lend(digest) }
    const { server } = this.#parts
    this.#own.set(action, output)
    this.#keep(action, output)
    if (server !== undefined) this.#sending.add((signal) => server.put(action, output, signal), action)
    return output
  }

  async finish(): Promise<void> {
    this.#fetching.abort(new Error('the go command has ended'))
    await Promise.all([this.#keeping.finish(KEEP_MS), this.#sending.finish(SEND_MS)])
  }

  async #orMiss(look: () => Promise<GoOutput | undefined>): Promise<GoOutput | undefined> {
    try {
      return await look()
    } catch (error) {
      this.#parts.onFault(error)
      return undefined
    }
  }

  async #here(action: string): Promise<GoOutput | undefined> {
    const { store, lent } = this.#parts
    if (store === undefined) return undefined
    const found = await findArtifact(store, scope, { tool: 'go', key: action }, this.#fetching.signal)
    const madeMs = Date.parse(found?.headers.time ?? '')
    if (found === undefined || Number.isNaN(madeMs)) return undefined
    const { digest } = found
    const path = lent.find(digest) ?? (await this.#lendStored(store.blobs, digest))
    return path === undefined ? undefined : { digest, madeMs, path }
  }

  async #lendStored(blobs: BlobStore, digest: Digest): Promise<string | undefined> {
    if (digest.sizeBytes <= BATCH_BLOB_BYTES) {
      const bytes = await readWhole(blobs, scope, digest)
      return bytes && this.#lend([bytes], digest)
    }
    await using bytes = await blobs.read(scope, digest)
    return bytes && (await this.#lend(bytes, digest))
  }

  async #there(action: string): Promise<GoOutput | undefined> {
    const { server } = this.#parts
    const found = await server?.get(action)
    if (found === undefined) return undefined
    const { digest, madeMs, body } = found
    await using bytes = typeof body === 'object' && 'bytes' in body ? body.bytes : undefined
    const path = await this.#lend(bytes ?? [Buffer.from(body as Uint8Array)], digest)
    const output = { digest, madeMs, path }
    this.#keep(action, output)
    return output
  }

  async #lend(bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, digest: Digest): Promise<string> {
    const file = this.begin()
    try {
      for await (const chunk of bytes) file.write(chunk)
      return file.lend(digest)
    } finally {
      file.drop()
    }
  }

  #keep(action: string, { digest, madeMs, path }: GoOutput): void {
    const { store } = this.#parts
    if (store === undefined) return
    this.#keeping.add(async (signal) => {
      await store.blobs.write(scope, digest, createReadStream(path), signal)
      await recordArtifact(
        store,
        scope,
        digest,
        { tool: 'go', key: action, headers: { time: new Date(madeMs).toISOString() } },
        signal,
      )
    }, action)
  }
}
