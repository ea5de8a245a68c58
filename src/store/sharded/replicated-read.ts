import type { Digest } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import type { OpenBytes, ReadOptions, Scope } from '../contracts.ts'
import { Faults, type Shard } from './shards.ts'

interface Opened {
  readonly shard: Shard
  readonly bytes: OpenBytes
}

/**
 * A blob from the first of its ends that has it. Where an end fails in the middle, the next one goes on from there: what was handed
 * out was checked. Ends that have it not, or wrong, are told to `found`.
 */
export class ReplicatedRead {
  readonly #waiting: Shard[]
  readonly #scope: Scope
  readonly #digest: Digest
  readonly #options: ReadOptions
  readonly #found: (from: Shard, lacking: readonly Shard[]) => void
  readonly #faults: Faults
  readonly #lacking: Shard[] = []
  #givenBytes = 0

  constructor(
    shards: readonly Shard[],
    scope: Scope,
    digest: Digest,
    options: ReadOptions,
    found: (from: Shard, lacking: readonly Shard[]) => void,
  ) {
    this.#waiting = [...shards]
    this.#scope = scope
    this.#digest = digest
    this.#options = options
    this.#found = found
    this.#faults = new Faults(options.signal)
  }

  /** Undefined where no end has it. Throws the first fault where none answered. */
  async open(): Promise<OpenBytes | undefined> {
    this.#options.signal?.throwIfAborted()
    const first = await this.#next()
    if (first === undefined) {
      if (this.#lacking.length === 0) throw this.#faults.first
      return undefined
    }
    let current: Opened | undefined = first
    const iterator = this.#bytes(first, (opened) => {
      current = opened
    })
    return {
      [Symbol.asyncIterator]: () => iterator,
      async [Symbol.asyncDispose]() {
        await iterator.return(undefined)
        await current?.bytes[Symbol.asyncDispose]()
      },
    }
  }

  async *#bytes(first: Opened, holds: (opened: Opened) => void): AsyncGenerator<Uint8Array, undefined> {
    for (let current = first; ; ) {
      try {
        for await (const piece of current.bytes) {
          this.#givenBytes += piece.length
          yield piece
        }
        if (this.#lacking.length > 0) this.#found(current.shard, this.#lacking)
        return
      } catch (error) {
        this.#note(error, current.shard)
      }
      const next = await this.#next()
      if (next === undefined) throw this.#faults.first
      holds(next)
      current = next
    }
  }

  async #next(): Promise<Opened | undefined> {
    const { offset = 0, length, signal } = this.#options
    const options = {
      offset: offset + this.#givenBytes,
      ...(length !== undefined && { length: length - this.#givenBytes }),
      ...(signal !== undefined && { signal }),
    }
    for (let shard = this.#waiting.shift(); shard !== undefined; shard = this.#waiting.shift()) {
      try {
        const bytes = await shard.end.blobs.read(this.#scope, this.#digest, options)
        if (bytes !== undefined) return { shard, bytes }
        this.#lacking.push(shard)
      } catch (error) {
        this.#note(error, shard)
      }
    }
    return undefined
  }

  #note(error: unknown, shard: Shard): void {
    this.#faults.add(error)
    if (isCacheError(error) && error.code === 'store.corrupt') this.#lacking.push(shard)
  }
}
