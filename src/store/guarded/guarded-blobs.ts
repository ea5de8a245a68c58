import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import {
  BATCH_BLOB_BYTES,
  type BatchEntry,
  type BlobStore,
  type Bytes,
  type Ingest,
  type OpenBytes,
  type ReadOptions,
  type Scope,
} from '../contracts.ts'
import { failingBytes, openBytes, sliced } from '../open-bytes.ts'
import type { Ask, Guard } from './guard.ts'
import type { LookUps } from './look-up.ts'
import { SharedCalls } from './shared-calls.ts'
import type { Transfer, Transfers } from './transfer.ts'
import { begun, watchedBytes, watchedSource } from './watched-bytes.ts'

export interface GuardedParts {
  readonly guard: Guard
  readonly lookUps: LookUps
  readonly transfers: Transfers
}

export class GuardedBlobs implements BlobStore, Ingest {
  readonly #inner: BlobStore & Ingest
  readonly #parts: GuardedParts
  readonly #reads = new SharedCalls<Uint8Array | undefined>()

  constructor(inner: BlobStore & Ingest, parts: GuardedParts) {
    this.#inner = inner
    this.#parts = parts
  }

  missing(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): Promise<Digest[]> {
    const ask = (within: AbortSignal) => this.#inner.missing(scope, digests, within)
    // Some ends ask for one after the other.
    const moreMs = Math.max(0, digests.length - FEW_DIGESTS) * MS_PER_DIGEST
    return this.#parts.lookUps.ask({ what: 'missing', side: readSide(scope), ask, moreMs, signal })
  }

  async read(scope: Scope, digest: Digest, options: ReadOptions = {}): Promise<OpenBytes | undefined> {
    options.signal?.throwIfAborted()
    if (digest.sizeBytes > BATCH_BLOB_BYTES)
      return readLarge(this.#parts, reading(this.#inner, scope, digest, options.signal), (signal) =>
        this.#inner.read(scope, digest, { ...options, signal }),
      )
    const key = `${digest.hash} ${digest.sizeBytes} ${scope.instance}`
    try {
      const bytes = await this.#reads.ask(key, (signal) => this.#readSmall(scope, digest, signal), options.signal)
      return bytes && openBytes(sliced(bytes, options))
    } catch (error) {
      if (isCacheError(error) && error.code === 'store.corrupt') return failingBytes(error)
      throw error
    }
  }

  async *readBatch(scope: Scope, digests: readonly Digest[], signal?: AbortSignal): AsyncGenerator<BatchEntry> {
    const [first] = digests
    if (first === undefined) return
    const bytes = digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const transfer = { ...reading(this.#inner, scope, first, signal), bytes }
    using _ = await this.#parts.transfers.admitted(transfer)
    let left = digests.map((digest, index) => ({ digest, index }))
    while (left.length > 0) {
      const answered = new Set<number>()
      for await (const { index, bytes } of this.#batch(scope, transfer, left, answered)) {
        yield { index: left[index]?.index as number, bytes }
      }
      left = left.filter((_, index) => !answered.has(index))
    }
  }

  /** What comes until all have, or until it breaks off after something has, so that the rest may be asked for again. */
  async *#batch(
    scope: Scope,
    transfer: Transfer,
    asked: readonly { readonly digest: Digest }[],
    answered: Set<number>,
  ): AsyncGenerator<BatchEntry> {
    const digests = asked.map(({ digest }) => digest)
    const { transfers } = this.#parts
    const { attempt, iterator, first } = await transfers.attempts(transfer, async (attempt) => {
      const iterator = this.#inner.readBatch(scope, digests, attempt.signal)[Symbol.asyncIterator]()
      return { attempt, iterator, first: await attempt.on(iterator.next()) }
    })
    try {
      for (let entry = first; !entry.done; entry = await attempt.on(iterator.next())) {
        answered.add(entry.value.index)
        yield entry.value
      }
      attempt.done()
      // An end that leaves some out would be asked for ever.
      for (const index of digests.keys()) answered.add(index)
    } catch (failure) {
      await transfers.again(transfer, attempt.failed(failure), 0)
    } finally {
      attempt.left()
      iterator.return?.(undefined)?.catch(() => undefined)
    }
  }

  async write(scope: Scope, digest: Digest, bytes: Bytes, signal?: AbortSignal): Promise<void> {
    const transfer = writing(this.#inner, scope, digest, bytes instanceof Uint8Array, signal)
    return this.#parts.transfers.run(transfer, (attempt) =>
      this.#inner.write(
        scope,
        digest,
        bytes instanceof Uint8Array ? bytes : watchedSource(bytes, attempt),
        attempt.signal,
      ),
    )
  }

  async ingest(scope: Scope, bytes: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Digest> {
    const transfer = writing(this.#inner, scope, UNNAMED, false, signal)
    return this.#parts.transfers.run(transfer, (attempt) =>
      this.#inner.ingest(scope, watchedSource(bytes, attempt), attempt.signal),
    )
  }

  /** In memory, as the end has it anyway before a byte is handed out. */
  async #readSmall(scope: Scope, digest: Digest, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const transfer = reading(this.#inner, scope, digest, signal)
    return this.#parts.transfers.run(transfer, async (attempt) => {
      await using bytes = await this.#inner.read(scope, digest, { signal: attempt.signal })
      if (bytes === undefined) return undefined
      const pieces: Uint8Array[] = []
      for await (const piece of bytes) pieces.push(piece)
      return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    })
  }
}

/** A stream, which holds its room until it is over. */
export async function readLarge(
  { guard, transfers }: GuardedParts,
  transfer: Transfer,
  open: (signal: AbortSignal) => Promise<OpenBytes | undefined>,
): Promise<OpenBytes | undefined> {
  const slot = await transfers.admitted(transfer)
  const release = () => slot[Symbol.dispose]()
  try {
    const { attempt, blob } = await transfers.attempts(transfer, async (attempt) => ({
      attempt,
      blob: await begun(attempt, open(attempt.signal)),
    }))
    if (blob !== undefined)
      return watchedBytes(blob, attempt, { release, failed: (error) => guard.failed(transfer.side, error) })
    attempt.done()
    release()
    return undefined
  } catch (error) {
    release()
    if (isCacheError(error) && error.code === 'store.corrupt') return failingBytes(error)
    throw error
  }
}

export function reading(inner: BlobStore, scope: Scope, digest: Digest, signal: AbortSignal | undefined): Transfer {
  const kind = { what: 'read', side: readSide(scope), isRepeatable: true, isAwaited: true } as const
  return { ...kind, bytes: digest.sizeBytes, probe: probeOf(inner, scope, digest), signal }
}

export function writing(
  inner: BlobStore,
  scope: Scope,
  digest: Digest,
  isRepeatable: boolean,
  signal: AbortSignal | undefined,
): Transfer {
  const kind = { what: 'write', side: writeSide(scope), isRepeatable, isAwaited: false } as const
  return { ...kind, bytes: digest.sizeBytes, probe: probeOf(inner, scope, digest), signal }
}

function probeOf(inner: BlobStore, scope: Scope, digest: Digest): Ask<unknown> {
  return (signal) => inner.missing(scope, [digest], signal)
}

/** What an end does not let us do holds for all that is asked of it in the same way. */
export function readSide({ instance }: Scope): string {
  return `read ${instance}`
}

export function writeSide({ instance }: Scope): string {
  return `write ${instance}`
}

/** Of bytes that have no digest yet; no end has it. */
const UNNAMED: Digest = { hash: '0'.repeat(64), sizeBytes: 1 }

/** So many are asked for as quickly as one. */
const FEW_DIGESTS = 32
const MS_PER_DIGEST = 10
