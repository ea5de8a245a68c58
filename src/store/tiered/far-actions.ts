import type { ActionDigest } from '../../digest/digest.ts'
import type { ActionLookup, Scope } from '../contracts.ts'
import { Recently } from '../recently.ts'
import { abortable } from '../remote/waiting.ts'
import type { FarEnd } from './far-end.ts'
import type { HitOdds } from './hit-odds.ts'
import type { Promotions } from './promotions.ts'
import type { SavesMs } from './tiered.ts'
import type { Moved } from './transfers.ts'

type Miss = Extract<ActionLookup, { kind: 'miss' }>
type Hit = Extract<ActionLookup, { kind: 'hit' }>

/** A run that misses looks twice, once before and once after it has waited for its turn: the second time is not worth a round trip. */
const ABSENT_MS = 10_000
/** The same after a fault; who has waited longer for its turn asks an end that answers by now. */
const FAULT_MS = 1_000
const MOST_REMEMBERED = 100_000

/** Found when nobody waited for it any longer; a few KiB each. */
const MOST_LATE = 1_000

export interface FarActionsOptions {
  readonly far: FarEnd
  readonly promotions: Promotions
  readonly odds: HitOdds
  readonly now: () => number
}

/** A look-up under way, by however many. */
interface Asking {
  readonly found: Promise<Hit | Miss | undefined>
  readonly sinceMs: number
  /** Those who have not had enough of it. */
  waiting: number
}

/** Action results that near has not got. Equal look-ups at the same time are one; what far has not got is not asked again so soon. */
export class FarActions {
  readonly #options: FarActionsOptions
  readonly #asking = new Map<string, Asking>()
  readonly #absent: Recently
  readonly #failed: Recently
  readonly #late = new Map<string, Hit>()
  #quickestMs: number | undefined

  constructor(options: FarActionsOptions) {
    this.#options = options
    this.#absent = new Recently(MOST_REMEMBERED, ABSENT_MS, options.now)
    this.#failed = new Recently(MOST_REMEMBERED, FAULT_MS, options.now)
  }

  /**
   * What far has, on its way to near already; else `miss`, which is what near said. With `savesMs`, what a hit saves, its answer
   * is waited for no longer than it is worth; what comes later is there for who asks again.
   */
  async get(
    scope: Scope,
    action: ActionDigest,
    miss: Miss,
    { signal, savesMs }: { readonly signal?: AbortSignal | undefined; readonly savesMs?: SavesMs | undefined } = {},
  ): Promise<ActionLookup> {
    signal?.throwIfAborted()
    const key = keyOf(scope, action)
    const late = this.#late.get(key)
    if (late !== undefined) {
      this.#late.delete(key)
      this.#promote(key, scope, action, late)
      return late
    }
    if (this.#absent.has(key) || this.#failed.has(key)) return miss
    const asking = this.#asking.get(key) ?? this.#begin(key, scope, action)
    asking.waiting++
    const found = await this.#within(asking, signal, savesMs)
    if (found === ENOUGH) return miss.why === 'absent' ? UNANSWERED : miss
    if (found?.kind === 'hit') return found
    return miss.why === 'absent' && found !== undefined ? found : miss
  }

  /** With its promotion, for those who want to know what comes of it. */
  async pull(scope: Scope, action: ActionDigest): Promise<Moved> {
    const found = await this.#look(scope, action)
    if (found === undefined) return { kind: 'failed', error: this.#options.far.fault }
    return found.kind === 'miss'
      ? { kind: 'gone' }
      : this.#options.promotions.promote(scope, action, found.result, 'all')
  }

  /** It is not what it was, near or far: what was learned before does not count. */
  forget(scope: Scope, action: ActionDigest): void {
    const key = keyOf(scope, action)
    this.#asking.delete(key)
    this.#late.delete(key)
    this.#absent.remove(key)
    this.#failed.remove(key)
  }

  /** The process ends, and does not hear how slow far is. */
  leave(): void {
    const { odds, now } = this.#options
    for (const { sinceMs, waiting } of this.#asking.values()) if (waiting === 0) odds.unanswered(now() - sinceMs)
  }

  /** The answer, unless the caller has enough of waiting. */
  async #within(
    asking: Asking,
    signal: AbortSignal | undefined,
    savesMs: SavesMs | undefined,
  ): Promise<Hit | Miss | undefined | typeof ENOUGH> {
    if (savesMs === undefined) return abortable(asking.found, signal)
    const { odds, now } = this.#options
    const enough = Promise.withResolvers<typeof ENOUGH>()
    let timer: NodeJS.Timeout | undefined
    let isOver = false
    const sayWhen = (ms: number) => {
      const leftMs = odds.patienceMs(ms) - Math.max(0, now() - asking.sinceMs)
      if (leftMs <= 0) enough.resolve(ENOUGH)
      else if (!isOver) timer = setTimeout(enough.resolve, Math.min(leftMs, LONGEST_PATIENCE_MS), ENOUGH)
    }
    // Where nobody knows what it saves, it is waited for.
    savesMs().then(sayWhen, () => undefined)
    try {
      const found = await abortable(Promise.race([asking.found, enough.promise]), signal)
      if (found === ENOUGH) asking.waiting--
      return found
    } finally {
      isOver = true
      clearTimeout(timer)
    }
  }

  #begin(key: string, scope: Scope, action: ActionDigest): Asking {
    const sinceMs = this.#options.now()
    const look = async () => {
      const found = await this.#timed(() => this.#look(scope, action))
      this.#learn(found, sinceMs)
      // What was forgotten meanwhile is nobody's business any more.
      const isCurrent = this.#asking.get(key) === asking
      if (isCurrent) this.#asking.delete(key)
      // The run that asked has gone on without.
      if (found === undefined) this.#failed.add(key)
      else if (found.kind === 'miss') this.#absent.add(key)
      else if (isCurrent && asking.waiting === 0) this.#keepLate(key, found)
      else if (isCurrent) this.#promote(key, scope, action, found)
      return found
    }
    const asking: Asking = { found: look(), sinceMs, waiting: 0 }
    this.#asking.set(key, asking)
    return asking
  }

  /** The quickest answer of this process, in milliseconds: about what a question costs once the way there is open. */
  get quickestMs(): number | undefined {
    return this.#quickestMs
  }

  async #timed<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
    const { far, now } = this.#options
    await far.opened().catch(() => undefined)
    const sinceMs = now()
    const found = await ask()
    if (found === undefined) return found
    const ms = Math.max(0, now() - sinceMs)
    // The first one also took a trip there and back for the connection.
    this.#quickestMs = this.#quickestMs === undefined ? ms / 2 : Math.min(this.#quickestMs, ms)
    return found
  }

  #learn(found: Hit | Miss | undefined, sinceMs: number): void {
    const { odds, now } = this.#options
    if (found !== undefined) odds.answered(found.kind === 'hit', Math.max(0, now() - sinceMs))
  }

  #promote(key: string, scope: Scope, action: ActionDigest, { result }: Hit): void {
    void this.#options.promotions.promote(scope, action, result).then((promoted) => {
      if (promoted.kind === 'gone') this.#absent.add(key)
    })
  }

  /** Not fetched: whoever asked is making it anew. */
  #keepLate(key: string, hit: Hit): void {
    const [oldest] = this.#late.keys()
    if (this.#late.size >= MOST_LATE && oldest !== undefined) this.#late.delete(oldest)
    this.#late.set(key, hit)
  }

  async #look(scope: Scope, action: ActionDigest): Promise<Hit | Miss | undefined> {
    const { place, signal } = this.#options.far
    const found = await this.#options.far.attempt('look-up', ({ actions }) => actions.get(scope, action, signal))
    if (found?.kind !== 'hit') return found
    const { result, encoded, resultDigest } = found
    return { kind: 'hit', result, encoded, resultDigest, place: found.place ?? place }
  }
}

const ENOUGH = Symbol('not worth more time')
const UNANSWERED: Miss = { kind: 'miss', why: 'unanswered' }
/** Far beyond what any end is given for a look-up. */
const LONGEST_PATIENCE_MS = 24 * 60 * 60 * 1000

function keyOf({ instance }: Scope, { hash, sizeBytes }: ActionDigest): string {
  return `${hash}/${sizeBytes} ${instance}`
}
