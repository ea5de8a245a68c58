import type { Command } from './redis-client.ts'

/** Remembered at most; then all are forgotten, which costs one more command for each. */
const MOST_KEYS = 50_000
/** A key that is in use loses no more of its time than this part before it is given all of it again. */
const PART = 16

/**
 * Gives what is used its whole time to live again, without a command for each use: a key is touched once in a sixteenth of that time.
 * Whoever may only read has the answer refused, and nothing depends on it.
 */
export class Touches {
  readonly #ttlMs: number
  readonly #now: () => number
  readonly #untilMs = new Map<string, number>()

  constructor(ttlMs: number, now: () => number = performance.now.bind(performance)) {
    this.#ttlMs = ttlMs
    this.#now = now
  }

  /** The command that is due for a key, if any. */
  due(key: string): Command | undefined {
    const now = this.#now()
    if ((this.#untilMs.get(key) ?? 0) > now) return undefined
    if (this.#untilMs.size >= MOST_KEYS) this.#untilMs.clear()
    this.#untilMs.set(key, now + this.#ttlMs / PART)
    return { args: ['PEXPIRE', key, this.#ttlMs] }
  }

  /** It was not there: the next use may find it new. */
  forget(key: string): void {
    this.#untilMs.delete(key)
  }
}
