import type { Clock } from '../guarded/clock.ts'
import type { Shard } from './shards.ts'

const MOST_RUNNING = 4
const MOST_WAITING = 256
/** What is under way when all ends may be this long. */
const FINISH_MS = 250
/** So many are let go for an end that would not take one. */
const LET_GO = 64

export interface Repair {
  /** One for each thing to be copied: what is copied already is not copied again. */
  readonly key: string
  readonly to: Shard
  readonly copy: (signal: AbortSignal) => Promise<unknown>
}

/**
 * Brings to ends what they should have and do not, behind the back of who asked for it. Bounded: what there is no room for waits for the
 * next one who asks, and nobody hears of what fails.
 */
export class Repairs implements AsyncDisposable {
  readonly #keys = new Set<string>()
  readonly #waiting: Repair[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #letGo = new Map<Shard, number>()
  readonly #control = new AbortController()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  offer(repair: Repair): void {
    const key = `${repair.key} ${repair.to.name}`
    if (this.#control.signal.aborted || this.#keys.has(key) || this.#waiting.length >= MOST_WAITING) return
    const letGo = this.#letGo.get(repair.to) ?? 0
    if (letGo > 0) {
      this.#letGo.set(repair.to, letGo - 1)
      return
    }
    this.#keys.add(key)
    this.#waiting.push({ ...repair, key })
    if (this.#running.size < MOST_RUNNING) this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _ = this.#clock.after(FINISH_MS, () => this.#control.abort())
    while (this.#running.size > 0) await Promise.all(this.#running)
    this.#control.abort()
  }

  #run(): void {
    const running = this.#work().finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#control.signal.aborted) return
      try {
        await next.copy(this.#control.signal)
      } catch {
        this.#letGo.set(next.to, LET_GO)
      }
      this.#keys.delete(next.key)
    }
  }
}
