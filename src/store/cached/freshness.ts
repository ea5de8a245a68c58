import type { Changes } from '../contracts.ts'

/**
 * For so long an answer is given without asking below whether anything has changed: a change that another process made
 * is seen that much later at most.
 */
export const TRUSTED_MS = 100

/**
 * So old an answer may get with nothing changed; then the store below is asked again, which keeps its access marks and
 * its time-to-live true.
 */
export const LONGEST_MS = 60_000

/** When an answer was had. */
export interface Stamp {
  readonly version: number
  readonly atMs: number
}

/** Tells whether what was read from a store a while ago may still be said of it. */
export class Freshness {
  readonly #changes: Changes
  readonly #now: () => number
  #version: number
  #lookedMs: number

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(changes: Changes, now: () => number) {
    this.#changes = changes
    this.#now = now
    this.#version = changes.version()
    this.#lookedMs = now()
  }

  /** To be had *before* the answer is read, so that a change in between makes the answer old. */
  stamp(): Stamp {
    const atMs = this.#now()
    this.#look(atMs)
    return { version: this.#version, atMs }
  }

  covers(stamp: Stamp): boolean {
    const nowMs = this.#now()
    if (nowMs - this.#lookedMs >= TRUSTED_MS) this.#look(nowMs)
    return stamp.version === this.#version && nowMs - stamp.atMs < LONGEST_MS
  }

  /** For what cannot change: whether it was had lately enough. */
  isYoung(stamp: Stamp): boolean {
    return this.#now() - stamp.atMs < LONGEST_MS
  }

  #look(nowMs: number): void {
    this.#version = this.#changes.version()
    this.#lookedMs = nowMs
  }
}
