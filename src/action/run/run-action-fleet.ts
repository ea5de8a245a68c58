import { hostname } from 'node:os'
import { eitherSignal } from '../../store/either-signal.ts'
import type { FleetHolder } from '../../store/fleet-leases.ts'
import type { WorkLease, WorkTurn } from '../../store/tiered/tiered.ts'
import { formatDuration } from '../../units/duration.ts'
import type { KeyedAction } from '../key/keyed-action.ts'
import type { RunOutcome } from '../run-outcome.ts'
import { LONGEST_TIMER_MS } from './child.ts'
import type { AboutWork, ActiveRun, Fleet } from './run-action-active.ts'
import { type Hit, look } from './run-action-look.ts'

/** What came of asking other machines. */
export type FleetBoarding =
  | { readonly kind: 'found'; readonly value: Hit }
  | { readonly kind: 'lead'; readonly lease: WorkLease }
  /** Nobody is asked, or nobody says anything of use: as if there were no other machines. */
  | { readonly kind: 'alone' }

/** Who is at it for so many times its usual time is not waited for. */
const MOST_USUALS = 2
/** Of what nobody knows how long it takes: for so long at least, since it may well take longer than is thought. */
const UNKNOWN_MS = 60_000

/**
 * Work that takes long, or may for all that is known here, is done by one machine of all that ask for it at the same time; the others
 * wait, for about twice as long as it takes, and have its result. Meanwhile their turn is for other commands.
 */
export async function boardFleet(run: ActiveRun, action: KeyedAction, fleet: Fleet): Promise<FleetBoarding> {
  const about = await fleet.about().catch(() => undefined)
  if (about === undefined) return ALONE
  const { thing, knownMs: usualMs, likelyMs } = about
  using patience = new Patience(run, about)
  const label = `${fleet.label} on ${hostname()}`
  const hold = () =>
    fleet.hold(run.engine.scope, action.key, {
      ...{ label, thing, usualMs, likelyMs, signal: patience.signal },
      onWait: (holder) => patience.waitFor(holder),
    })
  const turn = await run.clock.elsewhere(hold).catch(() => undefined)
  run.options.signal?.throwIfAborted()
  if (turn === undefined) return ALONE
  const isHit = patience.hasWaited || turn.kind === 'ended' ? await lookAgain(run, action, turn) : undefined
  if (turn.kind === 'ended') return isHit === undefined ? ALONE : { kind: 'found', value: isHit }
  if (isHit === undefined) return { kind: 'lead', lease: turn.lease }
  turn.lease.end('found')
  return { kind: 'found', value: isHit }
}

/** The others hear how it ended; of work that was broken off, that it is for one of them. */
export async function leadFleet(lease: WorkLease, work: () => Promise<RunOutcome>): Promise<RunOutcome> {
  await using leading = lease
  const outcome = await work()
  if (outcome.status === 'miss') leading.end('kept')
  else if (outcome.exitCode <= LAST_OWN_EXIT) leading.end('nothing')
  return outcome
}

const ALONE = { kind: 'alone' } as const
/** Above it the exit code says which signal ended the command. */
const LAST_OWN_EXIT = 128

async function lookAgain(run: ActiveRun, action: KeyedAction, turn: WorkTurn): Promise<Hit | undefined> {
  if (turn.kind === 'ended' && !turn.isKept) return undefined
  const again = await look(run, action)
  return again.kind === 'hit' ? again.hit : undefined
}

/** Aborts its signal with the run's, and when others were waited for long enough. */
class Patience implements Disposable {
  readonly #run: ActiveRun
  readonly #about: AboutWork
  readonly #enough = new AbortController()
  readonly #timers: { whole?: NodeJS.Timeout | undefined; holder?: NodeJS.Timeout | undefined } = {}
  #said: string | undefined

  constructor(run: ActiveRun, about: AboutWork) {
    this.#run = run
    this.#about = about
    const { waitMs } = run.options
    if (waitMs !== undefined) this.#timers.whole = this.#after(waitMs)
  }

  get signal(): AbortSignal {
    return eitherSignal(this.#enough.signal, this.#run.options.signal)
  }

  get hasWaited(): boolean {
    return this.#said !== undefined
  }

  waitFor(holder: FleetHolder): void {
    const { knownMs, likelyMs } = this.#about
    const { label, forMs, usualMs = knownMs } = holder
    const mostMs = usualMs === undefined ? Math.max(UNKNOWN_MS, MOST_USUALS * likelyMs) : MOST_USUALS * usualMs
    clearTimeout(this.#timers.holder)
    this.#timers.holder = this.#after(mostMs - forMs)
    if (this.#said === label) return
    this.#run.giveTurnBack()
    this.#said = label
    const since = forMs < 1_000 ? '' : `, for ${formatDuration(forMs)}`
    const usually = usualMs === undefined ? '' : `; usually ${formatDuration(usualMs)}`
    this.#run.options.notice({ kind: 'waiting', holder: `${label} (another machine${since}${usually})` })
  }

  #after(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#enough.abort(), Math.min(Math.max(0, ms), LONGEST_TIMER_MS))
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timers.whole)
    clearTimeout(this.#timers.holder)
  }
}
