import { setTimeout as pause } from 'node:timers/promises'

/** Keeps work to so many bytes a second, counted from its start; a short pause is saved up until it is worth a timer. */
export class Pace {
  readonly #bytesPerSecond: number
  readonly #startedMs: number
  readonly #now: () => number
  #bytes = 0

  constructor(bytesPerSecond: number, now: () => number = () => performance.now()) {
    this.#bytesPerSecond = bytesPerSecond
    this.#now = now
    this.#startedMs = now()
  }

  /** How long to wait, after these bytes too, until no more was done than may be by then. */
  dueMs(bytes: number): number {
    this.#bytes += bytes
    return this.#startedMs + (this.#bytes / this.#bytesPerSecond) * 1000 - this.#now()
  }

  /** Throws the signal's reason when aborted. */
  async after(bytes: number, signal?: AbortSignal): Promise<void> {
    const dueMs = this.dueMs(bytes)
    if (dueMs >= LEAST_PAUSE_MS) await pause(dueMs, undefined, signal === undefined ? {} : { signal })
    else signal?.throwIfAborted()
  }
}

const LEAST_PAUSE_MS = 5
