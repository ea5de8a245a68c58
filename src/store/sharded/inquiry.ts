import type { Digest } from '../../digest/digest.ts'
import type { Kind, Patience } from './patience.ts'
import { Faults, type Shard } from './shards.ts'

/** What one end is asked for at once. */
export interface Group {
  readonly shard: Shard
  readonly digests: readonly Digest[]
  /** Their places in the list of all. */
  readonly indexes: readonly number[]
  /** Whether the end has the digest at that place. True: it is the first that has it. */
  answer(at: number, isThere: boolean): boolean
}

export interface InquiryOptions {
  readonly digests: readonly Digest[]
  /** Of each digest, the first one first. */
  readonly shards: readonly (readonly Shard[])[]
  readonly patience: Patience
  readonly kind: Kind
  /** How much it is, compared with what latencies are known of. */
  readonly unitsOf: (digests: readonly Digest[]) => number
  readonly ask: (group: Group, signal: AbortSignal) => Promise<void>
  readonly found: (digest: Digest, from: Shard, lacking: readonly Shard[]) => void
  readonly signal: AbortSignal | undefined
}

interface Open {
  readonly index: number
  readonly digest: Digest
  readonly shards: readonly Shard[]
  readonly lacking: Shard[]
  /** How many of its ends were asked, and how many of those have not answered. */
  asked: number
  pending: number
  isFound: boolean
  /** Found, or all its ends have answered. */
  isOver: boolean
}

/**
 * Many digests, each asked of the first of its ends, then of the second where the first has not got it or has a fault, or says nothing
 * for longer than nearly all answers take; and so on: what goes to one end at the same time is one question. An end with a fault has
 * nothing; only where no end answered at all is the fault told.
 */
export class Inquiry {
  readonly #options: InquiryOptions
  readonly #opens: readonly Open[]
  readonly #faults: Faults
  readonly #done = Promise.withResolvers<void>()
  readonly #calls = new Map<Promise<void>, number>()
  #unsettled: number
  #hasAnswer = false

  constructor(options: InquiryOptions) {
    const { digests, shards, signal } = options
    this.#options = options
    this.#faults = new Faults(signal)
    this.#opens = digests.map((digest, index) => {
      const ends = shards[index] as readonly Shard[]
      return { index, digest, shards: ends, lacking: [], asked: 0, pending: 0, isFound: false, isOver: false }
    })
    this.#unsettled = digests.length
  }

  /** What was found nowhere, in the order of the list. Throws the first fault where nobody answered. */
  async run(): Promise<number[]> {
    const { signal, patience } = this.#options
    signal?.throwIfAborted()
    const leave = () => this.#done.reject(signal?.reason)
    signal?.addEventListener('abort', leave, { once: true })
    if (this.#unsettled === 0) this.#done.resolve()
    this.#next(this.#opens)
    try {
      await this.#done.promise
    } finally {
      signal?.removeEventListener('abort', leave)
      for (const [call, sinceMs] of this.#calls) patience.goOn(call, sinceMs)
    }
    if (!this.#hasAnswer && this.#faults.first !== undefined) throw this.#faults.first
    return this.#opens.filter(({ isFound }) => !isFound).map(({ index }) => index)
  }

  /** When no end is asked any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#calls.keys())
  }

  /** Asks the next end of each. */
  #next(opens: readonly Open[]): void {
    const groups = new Map<Shard, Open[]>()
    for (const open of opens) {
      const shard = open.shards[open.asked]
      if (shard === undefined) {
        if (open.pending === 0) this.#over(open)
        continue
      }
      open.asked++
      open.pending++
      const others = groups.get(shard)
      if (others === undefined) groups.set(shard, [open])
      else others.push(open)
    }
    for (const [shard, group] of groups) this.#ask(shard, group)
  }

  #ask(shard: Shard, opens: readonly Open[]): void {
    const { patience } = this.#options
    patience.called()
    const sinceMs = patience.clock.elapsedMs()
    const call = this.#answers(shard, opens, sinceMs)
      .catch((error) => this.#done.reject(error))
      .finally(() => this.#calls.delete(call))
    this.#calls.set(call, sinceMs)
  }

  async #answers(shard: Shard, opens: readonly Open[], sinceMs: number): Promise<void> {
    const { patience, ask, found, kind, unitsOf, signal } = this.#options
    const unanswered = new Set(opens)
    const digests = opens.map(({ digest }) => digest)
    const units = unitsOf(digests)
    const answer = (at: number, isThere: boolean): boolean => {
      const open = opens[at] as Open
      if (unanswered.size === opens.length) patience.answered(kind, units, patience.clock.elapsedMs() - sinceMs)
      this.#hasAnswer = true
      if (unanswered.delete(open)) open.pending--
      if (!isThere) open.lacking.push(shard)
      if (!isThere || open.isFound) return false
      open.isFound = true
      if (open.lacking.length > 0) found(open.digest, shard, open.lacking)
      this.#over(open)
      return true
    }
    const overtake = () => {
      if (unanswered.size < opens.length) return
      const others = opens.filter(({ isOver, asked, shards }) => !isOver && asked < shards.length)
      if (others.length > 0 && patience.mayOvertake()) this.#next(others)
    }
    const within = signal === undefined ? patience.left : AbortSignal.any([signal, patience.left])
    using _ = patience.clock.after(patience.waitMs(kind, units), overtake)
    try {
      await ask({ shard, digests, indexes: opens.map(({ index }) => index), answer }, within)
    } catch (error) {
      if (this.#unsettled > 0) this.#faults.add(error)
    }
    for (const open of unanswered) open.pending--
    this.#next(opens.filter(({ isOver, pending }) => !isOver && pending === 0))
  }

  #over(open: Open): void {
    open.isOver = true
    if (--this.#unsettled === 0) this.#done.resolve()
  }
}
