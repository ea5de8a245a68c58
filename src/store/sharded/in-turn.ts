import type { Kind, Patience } from './patience.ts'
import { Faults, type Shard } from './shards.ts'

export interface InTurnOptions<T> {
  readonly patience: Patience
  readonly kind: Kind
  /** How much is asked for, compared with what latencies are known of; infinite: no end is overtaken. */
  readonly units?: number
  /** Undefined: the end has nothing. */
  readonly ask: (shard: Shard, signal: AbortSignal) => Promise<T | undefined>
  /** Of what came when nobody wanted it any more. */
  readonly drop?: (answer: T) => PromiseLike<void> | undefined
  readonly signal: AbortSignal | undefined
}

export interface Answer<T> {
  readonly shard: Shard
  readonly value: T
}

/**
 * Asks the ends of a key, the first one first: the next when one has nothing or a fault, and also when it takes longer than nearly all
 * answers do. Who was overtaken may still be the first to answer.
 */
export class InTurn<T> {
  readonly #options: InTurnOptions<T>
  readonly #waiting: Shard[]
  readonly #faults: Faults
  readonly #lacking: Shard[] = []
  readonly #answers: Answer<T>[] = []
  readonly #pending = new Map<Promise<void>, number>()
  #wake: PromiseWithResolvers<void> = Promise.withResolvers()
  #broken: { readonly error: unknown } | undefined
  #isOver = false

  constructor(shards: readonly Shard[], options: InTurnOptions<T>) {
    this.#options = options
    this.#waiting = [...shards]
    this.#faults = new Faults(options.signal)
  }

  /** Those that have nothing, so far. */
  get lacking(): readonly Shard[] {
    return this.#lacking
  }

  get firstFault(): unknown {
    return this.#faults.first
  }

  /** One that answered has nothing of use. */
  lacks(shard: Shard): void {
    this.#lacking.push(shard)
  }

  /** The next answer; undefined when there is no other. Throws the first fault where no end answered. */
  async next(): Promise<Answer<T> | undefined> {
    const { signal } = this.#options
    for (;;) {
      signal?.throwIfAborted()
      if (this.#broken !== undefined) throw this.#broken.error
      const answer = this.#answers.shift()
      if (answer !== undefined) return answer
      if (this.#pending.size === 0 && !this.#ask()) return this.#end()
      await this.#news()
    }
  }

  /** What else comes is dropped. */
  over(): void {
    this.#isOver = true
    for (const { value } of this.#answers.splice(0)) void this.#drop(value)
    for (const [call, sinceMs] of this.#pending) this.#options.patience.goOn(call, sinceMs)
  }

  /** What went wrong with an end that had answered. */
  fault(error: unknown): void {
    this.#faults.add(error)
  }

  #end(): undefined {
    if (this.#lacking.length === 0 && this.#faults.first !== undefined) throw this.#faults.first
    return undefined
  }

  /** Waits until something has come, or it is time to ask another. */
  async #news(): Promise<void> {
    const { patience, kind, units = 1, signal } = this.#options
    const { promise, resolve } = this.#wake
    const wake = () => resolve()
    const mayOvertake = this.#waiting.length > 0 && units < Number.POSITIVE_INFINITY
    using _ = mayOvertake
      ? patience.clock.after(patience.waitMs(kind, units), () => {
          if (patience.mayOvertake()) this.#ask()
          resolve()
        })
      : undefined
    signal?.addEventListener('abort', wake, { once: true })
    await promise
    signal?.removeEventListener('abort', wake)
    this.#wake = Promise.withResolvers()
  }

  #ask(): boolean {
    const shard = this.#waiting.shift()
    if (shard === undefined) return false
    const { patience } = this.#options
    patience.called()
    const sinceMs = patience.clock.elapsedMs()
    const over = (error?: unknown) => {
      if (error !== undefined) this.#broken = { error }
      this.#pending.delete(call)
      this.#wake.resolve()
    }
    const call = this.#answer(shard, sinceMs).then(() => over(), over)
    this.#pending.set(call, sinceMs)
    return true
  }

  async #answer(shard: Shard, sinceMs: number): Promise<void> {
    const { ask, patience, kind, units = 1, signal } = this.#options
    const within = signal === undefined ? patience.left : AbortSignal.any([signal, patience.left])
    let value: T | undefined
    try {
      value = await ask(shard, within)
    } catch (error) {
      if (!this.#isOver) this.#faults.add(error)
      return
    }
    patience.answered(kind, units, patience.clock.elapsedMs() - sinceMs)
    if (value === undefined) this.#lacking.push(shard)
    else if (this.#isOver) void this.#drop(value)
    else this.#answers.push({ shard, value })
  }

  /** However that ends: nobody listens. */
  async #drop(value: T): Promise<void> {
    try {
      await this.#options.drop?.(value)
    } catch {
      // What it could not give up it did not have.
    }
  }
}
