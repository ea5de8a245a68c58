import type { WorkspaceRecords } from '../contracts.ts'

/** How much one answer says once there were many: about what the last 16 of them say together. */
const MOST_WEIGHT = 16
/** Nobody is so sure of a miss that an answer which comes at once is not waited for. */
const LEAST_ODDS = 0.02

/**
 * How often a place had what it was asked for lately, and how long its answers took: by that, how long one is worth waiting for.
 * Of a new place the best is thought. Kept from process to process as a record, of which the last one to save it counts.
 */
export class HitOdds {
  readonly #records: WorkspaceRecords
  readonly #place: string
  #odds = 1
  #weight = 1
  #answerMs: number | undefined
  #hasLearned = false

  constructor(records: WorkspaceRecords, place: string) {
    this.#records = records
    this.#place = place
    this.#load()
  }

  /** An answer that took `ms`. */
  answered(isHit: boolean, ms: number): void {
    this.#odds += ((isHit ? 1 : 0) - this.#odds) / (this.#weight + 1)
    this.#answerMs = this.#answerMs === undefined ? ms : this.#answerMs + (ms - this.#answerMs) / ANSWERS
    this.#weight = Math.min(MOST_WEIGHT, this.#weight + 1)
    this.#hasLearned = true
  }

  /** After `ms` there was none yet, and the process ends. */
  unanswered(ms: number): void {
    if (ms <= (this.#answerMs ?? 0)) return
    this.#answerMs = ms
    this.#hasLearned = true
  }

  /** How long an answer is taken as a rule, in milliseconds; undefined while nobody knows. */
  get answerMs(): number | undefined {
    return this.#answerMs
  }

  /** How long to wait for an answer that saves so much if it is a hit. 0 where it will hardly come while it is worth it. */
  patienceMs(savesMs: number): number {
    const worthMs = Math.max(LEAST_ODDS, this.#odds) * savesMs
    return worthMs < (this.#answerMs ?? 0) ? 0 : worthMs
  }

  /** Does not reject: what is not kept is learned anew. */
  async save(): Promise<void> {
    if (!this.#hasLearned) return
    this.#hasLearned = false
    const numbers = [this.#odds, this.#weight, this.#answerMs ?? '']
    await this.#records.save('odds', this.#place, Buffer.from(numbers.join(' '))).catch(() => undefined)
  }

  #load(): void {
    const record = this.#records.load('odds', this.#place)
    if (record === undefined) return
    const [odds, weight, answerMs] = Buffer.from(record).toString('latin1').split(' ')
    this.#odds = Number(odds)
    this.#weight = Number(weight)
    if (answerMs !== '') this.#answerMs = Number(answerMs)
  }
}

/** Among how many an answer's time counts. */
const ANSWERS = 8
