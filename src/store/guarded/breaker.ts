import { CacheError } from '../../errors.ts'
import type { Clock } from './clock.ts'

/** What outlives a process of what is known of an end: a few bytes. */
export interface BreakerState {
  /** One more with each that is saved, by which two processes know that both were about to. */
  readonly version: number
  /** How often it was opened without an answer between. */
  readonly trips: number
  /** Unix milliseconds: until then the end is left alone; 0: it answers. */
  readonly untilMs: number
  /** Unix milliseconds, when this was saved: a clock that is now before it was set back. */
  readonly savedMs: number
  /** How long the first answer of a process took, where that was long; else 0. */
  readonly firstAnswerMs: number
}

/** Where a {@link BreakerState} lies between processes. */
export interface BreakerMemory {
  /** Undefined where nothing is known, or nothing that can be read. Does not throw. */
  load(): BreakerState | undefined
  /**
   * Visible to other processes, whole. `overtaken`: another process has saved this version or a later one, and nothing was
   * changed. `unable`: nothing can be kept here. Does not throw.
   */
  save(state: BreakerState): 'saved' | 'overtaken' | 'unable'
}

export interface BreakerLimits {
  /** How long an end is left alone at first; twice as long with each time that it fails again. */
  readonly coolDownMs: number
  readonly mostCoolDownMs: number
  /** So many times as long as was lost by waiting for it: with 20, an end that never works costs at most a twentieth of all time. */
  readonly coolDownPerLostMs: number
  /** So much may be lost before it is left alone. */
  readonly mostLostMs: number
  /** So many failures in a row, once it has answered in this process; before, one is enough. */
  readonly mostFailures: number
  /** So many times in a row that it said it was busy: most that is asked of an end that sheds a part of its load is answered. */
  readonly mostBusy: number
  /** How long somebody who looks whether it is back may take. */
  readonly probeMs: number
}

export const BREAKER_LIMITS: BreakerLimits = {
  coolDownMs: 1_000,
  mostCoolDownMs: 600_000,
  coolDownPerLostMs: 20,
  mostLostMs: 400,
  mostFailures: 3,
  mostBusy: 20,
  probeMs: 5_000,
}

/** `closed`: ask. `open`: do not. `probe`: the same, but look in the background whether it is back, and tell {@link Breaker.probed}. */
export type Admission = 'closed' | 'open' | 'probe'

export interface BreakerOptions {
  readonly place: string
  readonly memory: BreakerMemory
  readonly clock: Clock
  readonly limits: BreakerLimits
  readonly tell: (event: { kind: 'opened'; error: unknown; forMs: number } | { kind: 'closed' }) => void
}

/**
 * Says whether an end is worth asking. Opens on what was lost by it (a leaky bucket of waited time) or on failures in a row
 * (Nygard, "Release It!", 2007, chapter 5), in this process and those that come after. Nobody waits for a probe, and of all
 * processes one at a time probes.
 */
export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState | undefined
  #isProbing = false
  #hasAnswered = false
  #failures = 0
  #busyTimes = 0
  #lostMs = 0
  /** Up to which all that was lost is counted: what many wait for at the same time is lost once. */
  #countedMs = Number.NEGATIVE_INFINITY

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** How long the first answer of a process is known to take; 0: not long. */
  get firstAnswerMs(): number {
    return this.#known().firstAnswerMs
  }

  get isOpen(): boolean {
    return this.#known().untilMs !== 0
  }

  admit(): Admission {
    const state = this.#known()
    if (state.untilMs === 0) return 'closed'
    if (this.#isProbing || !this.#isDue(state)) return 'open'
    return this.#claim()
  }

  /** An answer to a call that was admitted. */
  answered(): void {
    this.#hasAnswered = true
    this.#failures = 0
    this.#busyTimes = 0
  }

  /** The first answer of this process, `ms` after it was asked for; perhaps later than anybody waited. */
  answeredFirst(ms: number, longMs: number): void {
    this.answered()
    const firstAnswerMs = ms > longMs ? Math.round(ms) : 0
    const state = this.#known()
    const isNews = Math.abs(firstAnswerMs - state.firstAnswerMs) > state.firstAnswerMs / 4
    if (state.untilMs !== 0) this.#close(firstAnswerMs)
    else if (isNews) this.#save({ ...state, firstAnswerMs })
  }

  /** A call that was admitted came to nothing. */
  failed(error: unknown): void {
    this.#failures++
    const { mostFailures } = this.#options.limits
    if (this.#failures >= (this.#hasAnswered ? mostFailures : 1)) this.#openOnce(error)
  }

  /** A call that was admitted was too much for it. */
  busy(error: unknown): void {
    if (++this.#busyTimes >= this.#options.limits.mostBusy) this.#openOnce(error)
  }

  /** Somebody has waited for nothing since `sinceMs` (elapsed), whatever comes of the call in the end. */
  lost(error: unknown, sinceMs: number): void {
    this.#lose(sinceMs)
    if (this.#lostMs > this.#options.limits.mostLostMs) this.#openOnce(error)
  }

  /** What came of looking; undefined: nobody knows, for the process ends. */
  probed(isBack: boolean | undefined, error?: unknown): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    if (isBack === undefined) this.#save({ ...this.#known(), untilMs: this.#options.clock.wallMs() })
    else if (isBack) {
      this.answered()
      this.#close(this.#known().firstAnswerMs)
    } else this.#open(error)
  }

  /** What is thrown in place of an answer while it is open. */
  openError(): CacheError {
    const { place, clock } = this.#options
    const forMs = Math.max(0, this.#known().untilMs - clock.wallMs())
    return new CacheError('remote.unreachable', `${place} did not answer and is left alone for now.`, {
      hint: 'Nothing needs to be done: work goes on without it, and it is tried again by itself.',
      context: { server: place, isOpen: true, forMs },
    })
  }

  #known(): BreakerState {
    this.#state ??= this.#options.memory.load() ?? NOTHING
    return this.#state
  }

  #isDue({ untilMs, savedMs }: BreakerState): boolean {
    const now = this.#options.clock.wallMs()
    // A clock that was set says nothing of how long it has been. Probing costs nobody anything.
    return now >= untilMs || now < savedMs - 1_000 || untilMs - now > 2 * this.#options.limits.mostCoolDownMs
  }

  #claim(): Admission {
    const { memory, clock, limits } = this.#options
    const others = memory.load()
    if (others !== undefined && others.version > this.#known().version) {
      this.#state = others
      if (others.untilMs === 0) return 'closed'
      if (!this.#isDue(others)) return 'open'
    }
    if (this.#save({ ...this.#known(), untilMs: clock.wallMs() + limits.probeMs }) === 'overtaken') return 'open'
    this.#isProbing = true
    return 'probe'
  }

  #openOnce(error: unknown): void {
    if (this.#known().untilMs === 0) this.#open(error)
  }

  #open(error: unknown): void {
    const { clock, limits, tell } = this.#options
    const before = this.#known()
    const growing = limits.coolDownMs * 2 ** Math.min(before.trips, 30)
    const coolDownMs = Math.min(limits.mostCoolDownMs, Math.max(growing, limits.coolDownPerLostMs * this.#lostMs))
    // Only longer: shorter would be more than its share of all time.
    const forMs = coolDownMs * (1 + clock.random() / 2)
    this.#lostMs = 0
    this.#insist({ ...before, trips: before.trips + 1, untilMs: clock.wallMs() + forMs })
    tell({ kind: 'opened', error, forMs })
  }

  #close(firstAnswerMs: number): void {
    this.#isProbing = false
    this.#insist({ ...this.#known(), trips: 0, untilMs: 0, firstAnswerMs })
    this.#options.tell({ kind: 'closed' })
  }

  /** What this process has seen counts for it, whatever others saved. */
  #insist(state: BreakerState): void {
    if (this.#save(state) !== 'overtaken') return
    const others = this.#options.memory.load() ?? state
    // Two that find it gone at the same time need not both say so.
    if (others.untilMs !== 0 && state.untilMs !== 0) this.#state = others
    else if (this.#save({ ...state, version: others.version }) === 'overtaken') this.#state = state
  }

  #save(state: BreakerState): 'saved' | 'overtaken' | 'unable' {
    const next = { ...state, version: state.version + 1, savedMs: this.#options.clock.wallMs() }
    const saved = this.#options.memory.save(next)
    if (saved === 'overtaken') this.#state = this.#options.memory.load() ?? next
    else this.#state = next
    return saved
  }

  #lose(sinceMs: number): void {
    const { clock, limits } = this.#options
    const now = clock.elapsedMs()
    if (this.#countedMs !== Number.NEGATIVE_INFINITY)
      this.#lostMs = Math.max(0, this.#lostMs - (now - this.#countedMs) / limits.coolDownPerLostMs)
    this.#lostMs += Math.max(0, now - Math.max(sinceMs, this.#countedMs))
    this.#countedMs = now
  }
}

const NOTHING: BreakerState = { version: 0, trips: 0, untilMs: 0, savedMs: 0, firstAnswerMs: 0 }
