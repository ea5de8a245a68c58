import type { ActionDigest } from '../../digest/digest.ts'
import type { Scope } from '../contracts.ts'
import type { Clock } from './clock.ts'

/**
 * Results that an end said it does not have, for a moment: so that it is not asked again by the next who needs the same. What
 * this process puts is known at once; what others put, after that moment.
 */
export class AbsentResults {
  readonly #clock: Clock
  readonly #forMs: number
  readonly #untilMs = new Map<string, number>()
  #puts = 0

  constructor(clock: Clock, forMs: number) {
    this.#clock = clock
    this.#forMs = forMs
  }

  has(scope: Scope, action: ActionDigest): boolean {
    return (this.#untilMs.get(keyOf(scope, action)) ?? 0) > this.#clock.elapsedMs()
  }

  /** To be called before an end is asked; what it gives, when it had nothing. */
  asking(scope: Scope, action: ActionDigest): () => void {
    const puts = this.#puts
    return () => {
      // What was put meanwhile may be what was asked for.
      if (puts !== this.#puts) return
      if (this.#untilMs.size >= MOST) this.#untilMs.clear()
      this.#untilMs.set(keyOf(scope, action), this.#clock.elapsedMs() + this.#forMs)
    }
  }

  put(): void {
    this.#puts++
    this.#untilMs.clear()
  }
}

const MOST = 10_000

function keyOf({ instance }: Scope, { hash, sizeBytes }: ActionDigest): string {
  return `${hash} ${sizeBytes} ${instance}`
}
