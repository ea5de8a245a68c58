import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { BATCH_BLOB_BYTES, type OpenBytes, type ReadOptions, type Scope } from '../contracts.ts'
import { type Answer, InTurn } from './in-turn.ts'
import type { Patience } from './patience.ts'
import type { Shard } from './shards.ts'

export interface ReplicatedReadOptions extends ReadOptions {
  readonly patience: Patience
  /** The ends that have it not, or wrong, and one that has it. */
  readonly found: (from: Shard, lacking: readonly Shard[]) => void
}

/** How long so much takes is learned. */
export const READ_UNIT_BYTES: number = 64 << 10

/**
 * A blob from the first of its ends that has it. Where an end fails in the middle, the next one goes on from there: what was handed
 * out was checked. Undefined where no end has it. Throws the first fault where none answered.
 */
export function replicatedRead(
  shards: readonly Shard[],
  scope: Scope,
  digest: Digest,
  options: ReplicatedReadOptions,
): Promise<OpenBytes | undefined> {
  return new ReplicatedRead(shards, scope, digest, options).open()
}

interface Opened {
  readonly bytes: OpenBytes
  /** Handed out by others before it was asked. */
  readonly from: number
}

class ReplicatedRead {
  readonly #scope: Scope
  readonly #digest: Digest
  readonly #options: ReplicatedReadOptions
  readonly #ends: InTurn<Opened>
  #givenBytes = 0

  constructor(shards: readonly Shard[], scope: Scope, digest: Digest, options: ReplicatedReadOptions) {
    const { patience, signal } = options
    this.#scope = scope
    this.#digest = digest
    this.#options = options
    this.#ends = new InTurn(shards, {
      ...{ patience, kind: 'read', signal },
      // How long a large one takes says little of its end.
      units: digest.sizeBytes > BATCH_BLOB_BYTES ? Number.POSITIVE_INFINITY : digest.sizeBytes / READ_UNIT_BYTES,
      ask: (shard, within) => this.#open(shard, within),
      drop: ({ bytes }) => bytes[Symbol.asyncDispose](),
    })
  }

  async open(): Promise<OpenBytes | undefined> {
    const first = await this.#first()
    if (first === undefined) return undefined
    let current = first
    const iterator = this.#bytes(first, (opened) => {
      current = opened
    })
    return {
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: async () => {
        await iterator.return(undefined)
        this.#ends.over()
        await current.value.bytes[Symbol.asyncDispose]()
      },
    }
  }

  async #first(): Promise<Answer<Opened> | undefined> {
    try {
      return await this.#ends.next()
    } catch (error) {
      this.#ends.over()
      throw error
    }
  }

  async *#bytes(first: Answer<Opened>, holds: (opened: Answer<Opened>) => void): AsyncGenerator<Uint8Array, undefined> {
    try {
      for (let current = first; ; ) {
        try {
          for await (const piece of after(current.value.bytes, this.#givenBytes - current.value.from)) {
            this.#givenBytes += piece.length
            yield piece
          }
          if (this.#ends.lacking.length > 0) this.#options.found(current.shard, this.#ends.lacking)
          return
        } catch (error) {
          this.#ends.fault(error)
          this.#note(error, current.shard)
        }
        const next = await this.#ends.next()
        if (next === undefined) throw this.#ends.firstFault
        holds(next)
        current = next
      }
    } finally {
      this.#ends.over()
    }
  }

  async #open(shard: Shard, signal: AbortSignal): Promise<Opened | undefined> {
    const { offset = 0, length } = this.#options
    const from = this.#givenBytes
    const rest = length === undefined ? {} : { length: length - from }
    try {
      const bytes = await shard.end.blobs.read(this.#scope, this.#digest, { offset: offset + from, ...rest, signal })
      return bytes && { bytes, from }
    } catch (error) {
      this.#note(error, shard)
      throw error
    }
  }

  #note(error: unknown, shard: Shard): void {
    if (isCacheError(error) && error.code === 'store.corrupt') this.#ends.lacks(shard)
  }
}

async function* after(bytes: OpenBytes, skippedBytes: number): AsyncGenerator<Uint8Array> {
  let left = skippedBytes
  for await (const piece of bytes) {
    if (piece.length > left) yield piece.subarray(left)
    left = Math.max(0, left - piece.length)
  }
}
