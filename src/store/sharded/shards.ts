import { isCacheError } from '../../errors.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import type { Patience } from './patience.ts'
import type { Member, Rendezvous } from './rendezvous.ts'
import type { Repairs } from './repairs.ts'

/** An end that keeps a share of all keys. */
export interface Shard extends Member {
  readonly end: RemoteEnd
}

export class Shards {
  readonly all: readonly Shard[]
  readonly #rendezvous: Rendezvous

  constructor(shards: readonly Shard[], rendezvous: Rendezvous) {
    this.all = shards
    this.#rendezvous = rendezvous
  }

  /** Those that have a key, the first one first. */
  of(hash: string): Shard[] {
    return this.#rendezvous.of(hash).map((index) => this.all[index] as Shard)
  }
}

/** What all that is asked of a sharded end has in common. */
export interface ShardedParts {
  readonly shards: Shards
  readonly repairs: Repairs
  readonly patience: Patience
}

/**
 * What went wrong with ends, so that others were asked. A fault of an end is a `CacheError`; the caller's own reason to stop, and what
 * the caller's stream throws, is not, and ends everything.
 */
export class Faults {
  readonly #signal: AbortSignal | undefined
  #first: unknown

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  /** Takes note of it, or throws it where it is no end's. */
  add(error: unknown): void {
    this.#signal?.throwIfAborted()
    if (!isCacheError(error)) throw error
    this.#first ??= error
  }

  get first(): unknown {
    return this.#first
  }
}

/** Asks all at once. Throws the first fault where none did it. */
export async function askAll<A, T>(
  asked: readonly A[],
  ask: (each: A) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T[]> {
  const answers: T[] = []
  const faults = new Faults(signal)
  for (const settled of await Promise.allSettled(asked.map(ask)))
    if (settled.status === 'fulfilled') answers.push(settled.value)
    else faults.add(settled.reason)
  if (answers.length === 0) throw faults.first
  return answers
}
