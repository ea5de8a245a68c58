import type { Digest } from '../../digest/digest.ts'
import type { BatchEntry, Scope } from '../contracts.ts'
import { merged } from './merged.ts'
import { Faults, type Shard } from './shards.ts'

export interface Group {
  readonly shard: Shard
  readonly digests: readonly Digest[]
  /** Whether the end has the digest at that place. */
  answer(at: number, isThere: boolean): void
  /** What has no answer yet gets none from this end. Throws what is no fault of an end. */
  fault(error: unknown): void
}

interface Open {
  readonly index: number
  readonly digest: Digest
  readonly shards: readonly Shard[]
  readonly lacking: Shard[]
}

type Found = (digest: Digest, from: Shard, to: readonly Shard[]) => void

/**
 * Many digests, asked of the first end of each, then of the second for what was not found, and so on: one question for each end and
 * round. An end with a fault has nothing; only where no end answered at all is the fault told.
 */
export class Rounds {
  readonly #faults: Faults
  readonly #found: Found
  #open: Open[]
  #round = 0
  #hasAnswer = false

  constructor(digests: readonly Digest[], shards: readonly Shard[][], signal: AbortSignal | undefined, found: Found) {
    this.#open = digests.map((digest, index) => ({ index, digest, shards: shards[index] as Shard[], lacking: [] }))
    this.#faults = new Faults(signal)
    this.#found = found
  }

  /** The questions of the next round; none when all ends were asked, or all was found. Those before are all answered. */
  next(): Group[] {
    const asked = new Map<Shard, Open[]>()
    for (const open of this.#open) {
      const shard = open.shards[this.#round]
      if (shard === undefined) continue
      const others = asked.get(shard)
      if (others === undefined) asked.set(shard, [open])
      else others.push(open)
    }
    this.#round++
    if (asked.size > 0) this.#open = []
    return [...asked].map(([shard, opens]) => this.#group(shard, opens))
  }

  /** What was found nowhere, in the order of the list. Throws the first fault where nobody answered. */
  left(): number[] {
    if (!this.#hasAnswer && this.#faults.first !== undefined) throw this.#faults.first
    return this.#open.map(({ index }) => index).sort((a, b) => a - b)
  }

  async *read(groups: readonly Group[], scope: Scope, signal: AbortSignal | undefined): AsyncGenerator<BatchEntry> {
    const left = new AbortController()
    const either = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal])
    const sources = groups.map((group) => this.#blobs(group as AskedGroup, scope, either))
    yield* merged(sources, () => left.abort())
  }

  async *#blobs(group: AskedGroup, scope: Scope, signal: AbortSignal): AsyncGenerator<BatchEntry> {
    try {
      for await (const { index: at, bytes } of group.shard.end.blobs.readBatch(scope, group.digests, signal)) {
        group.answer(at, bytes !== undefined)
        if (bytes !== undefined) yield { index: group.indexes[at] as number, bytes }
      }
    } catch (error) {
      signal.throwIfAborted()
      group.fault(error)
    }
  }

  #group(shard: Shard, opens: readonly Open[]): AskedGroup {
    const unanswered = new Set(opens)
    return {
      shard,
      digests: opens.map(({ digest }) => digest),
      indexes: opens.map(({ index }) => index),
      answer: (at, isThere) => {
        const open = opens[at] as Open
        this.#hasAnswer = true
        unanswered.delete(open)
        if (isThere) {
          if (open.lacking.length > 0) this.#found(open.digest, shard, open.lacking)
          return
        }
        open.lacking.push(shard)
        this.#open.push(open)
      },
      fault: (error) => {
        this.#faults.add(error)
        this.#open.push(...unanswered)
      },
    }
  }
}

interface AskedGroup extends Group {
  readonly indexes: readonly number[]
}
