const FIRST_STEP = 0.0625
const DECAY = 0.98
/** So large a change of the hit ratio means other work: look for the best share afresh. */
const RESTART = 0.05

/**
 * Looks for the share at which most requests hit, by going on in the direction in which it got better, in ever smaller
 * steps. Einziger et al., "Adaptive Software Cache Management", Middleware 2018.
 */
export class HillClimber {
  #hits = 0
  #requests = 0
  #lastRatio = 0
  /** Upwards: the share starts near its least. */
  #step = FIRST_STEP

  /** Counts one request; says by what share of the cache to grow, mostly 0. */
  count(isHit: boolean, sampleSize: number): number {
    this.#requests++
    if (isHit) this.#hits++
    if (this.#requests < sampleSize) return 0
    const ratio = this.#hits / this.#requests
    const change = ratio - this.#lastRatio
    const move = change >= 0 ? this.#step : -this.#step
    this.#step = Math.abs(change) >= RESTART ? FIRST_STEP * Math.sign(move) : DECAY * move
    this.#lastRatio = ratio
    this.#hits = 0
    this.#requests = 0
    return move
  }
}
