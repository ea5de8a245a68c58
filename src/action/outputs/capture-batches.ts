import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { BATCH_BLOB_BYTES } from '../../store/contracts.ts'
import type { Workspace } from '../workspace.ts'

/** Room for the largest blob of a batch and the byte that tells that it grew; small, so that the store soon has work. */
const BUFFER_BYTES = BATCH_BLOB_BYTES + (64 << 10)
/** As many as two commits of the store take, so that one is gathered while the other is written: 17 MiB at most. */
const MOST_BUFFERS = 16

interface Batch {
  readonly buffer: Buffer
  readonly blobs: { readonly digest: Digest; readonly bytes: Uint8Array }[]
  filled: number
}

/**
 * Small blobs on their way into the store: earlier batches are compressed and written while the next one is read. The
 * buffers go round, since fresh memory costs more than what is read into it.
 */
export class Batches {
  readonly #store: Pick<Workspace, 'blobs' | 'scope'>
  readonly #signal: AbortSignal | undefined
  readonly #seen = new Set<string>()
  readonly #free: Buffer[] = []
  /** Oldest first. */
  readonly #writing: Promise<void>[] = []
  #batch: Batch | undefined

  constructor(store: Pick<Workspace, 'blobs' | 'scope'>, signal: AbortSignal | undefined) {
    this.#store = store
    this.#signal = signal
  }

  /** Ask before each {@link add}, and flush when it does. One byte more is wanted, to see a file that grew. */
  lacksRoomFor(size: number): boolean {
    return this.#batch !== undefined && this.#batch.filled + size + 1 > BUFFER_BYTES
  }

  /** `read` fills the buffer from an offset on and says how many bytes. */
  add(read: (buffer: Buffer, offset: number) => number): Digest {
    this.#batch ??= { buffer: this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES), blobs: [], filled: 0 }
    const { buffer, blobs, filled } = this.#batch
    const end = filled + read(buffer, filled)
    const bytes = buffer.subarray(filled, end)
    const digest = digestOf(bytes)
    if (this.#seen.has(digest.hash)) return digest
    this.#seen.add(digest.hash)
    blobs.push({ digest, bytes })
    this.#batch.filled = end
    return digest
  }

  async flush(): Promise<void> {
    this.#signal?.throwIfAborted()
    if (this.#batch === undefined) return
    const writing = this.#write(this.#batch)
    this.#batch = undefined
    // It is awaited later; until then a failure is not to count as one nobody looks at.
    writing.catch(() => undefined)
    this.#writing.push(writing)
    if (this.#writing.length >= MOST_BUFFERS) await this.#writing.shift()
    // Gives the store and signals a turn, since everything else here is synchronous.
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Everything added is in the store. */
  async finish(): Promise<void> {
    await this.flush()
    await Promise.all(this.#writing)
  }

  /** Nothing is under way any more, well or ill. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writing)
  }

  async #write(batch: Batch): Promise<void> {
    const { blobs, scope } = this.#store
    const digests = batch.blobs.map(({ digest }) => digest)
    const absent = await blobs.missing(scope, digests, this.#signal)
    if (absent.length > 0) {
      const wanted = new Set(absent.map(({ hash }) => hash))
      const written = batch.blobs.filter(({ digest }) => wanted.has(digest.hash))
      // Where a store gives one promise for many blobs, it is waited for once.
      await Promise.all(new Set(written.map(({ digest, bytes }) => blobs.write(scope, digest, bytes, this.#signal))))
    }
    this.#free.push(batch.buffer)
  }
}
