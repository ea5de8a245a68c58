import type { Lease, Leases, WorkspaceRecords } from '../../store/contracts.ts'
import { eitherSignal } from '../../store/either-signal.ts'
import { LONGEST_TIMER_MS } from './child.ts'
import { startedThis } from './child-tree.ts'

/** What came of asking to do a piece of work. */
export type Boarding<T> =
  /** It has been done in the meantime. */
  | { readonly kind: 'found'; readonly value: T }
  /** It is the caller's to do, whoever else asks for it waits until the flight is disposed of. */
  | { readonly kind: 'lead'; readonly flight: Flight }
  /** The caller does it as well, with nobody waiting: `why` the others' work is of no use. */
  | { readonly kind: 'alone'; readonly why: 'kept-nothing' | 'waited-enough' | 'nested' }

export interface Flight extends AsyncDisposable {
  /** Tell those who wait that there will be no result, so that they all begin at once instead of one after the other. */
  keptNothing(): Promise<void>
}

export interface FlightOptions<T> {
  /** What is to be done; equal names are the same work. 64 hex digits. */
  readonly name: string
  /** What the leader says of itself to those who wait. */
  readonly label: string
  readonly onWait: (holder: string) => void
  /** Looks whether it has been done; asked for as soon as nobody is at it. */
  readonly look: () => Promise<T | undefined>
  /** How long to wait for others at most. */
  readonly waitMs: number | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * The same work asked for by many, done once: one leads, the others wait and find its result. If the leader dies, its
 * lease dies with it and one of them takes over. If it keeps nothing, it leaves word of that, and all begin at once.
 */
export async function singleFlight<T>(
  place: { readonly leases: Leases; readonly records: WorkspaceRecords },
  options: FlightOptions<T>,
): Promise<Boarding<T>> {
  const sinceMs = Date.now()
  const held = await holdOrSay(place.leases, `action-${options.name}`, options)
  if (held.kind !== 'held') return { kind: 'alone', why: held.kind }
  let isOver = false
  try {
    const value = await options.look()
    if (value !== undefined) return { kind: 'found', value }
    if (held.hasWaited && keptNothingSince(place.records, options.name, sinceMs))
      return { kind: 'alone', why: 'kept-nothing' }
    isOver = true
    return { kind: 'lead', flight: new HeldFlight(held.lease, place.records, options.name) }
  } finally {
    if (!isOver) await held.lease[Symbol.asyncDispose]()
  }
}

export type Holding =
  | { readonly kind: 'held'; readonly lease: Lease; readonly hasWaited: boolean }
  | { readonly kind: 'waited-enough' }
  /** Whoever holds it started this process, and waits for it. */
  | { readonly kind: 'nested' }

/** Holds a lease, waiting for `waitMs` at most, and never for a process that waits for this one. */
export async function holdOrSay(
  leases: Leases,
  name: string,
  options: Pick<FlightOptions<unknown>, 'label' | 'onWait' | 'waitMs' | 'signal'>,
): Promise<Holding> {
  const stop = new AbortController()
  let why: 'waited-enough' | 'nested' | undefined
  let hasWaited = false
  const giveUp = (reason: 'waited-enough' | 'nested') => {
    why ??= reason
    stop.abort()
  }
  const timer =
    options.waitMs === undefined
      ? undefined
      : setTimeout(() => giveUp('waited-enough'), Math.min(options.waitMs, LONGEST_TIMER_MS))
  try {
    const lease = await leases.hold(name, {
      note: `${options.label} (process ${process.pid})`,
      onWait: (holder) => {
        hasWaited = true
        if (isAncestor(holder)) giveUp('nested')
        else options.onWait(holder)
      },
      signal: eitherSignal(stop.signal, options.signal),
    })
    return { kind: 'held', lease, hasWaited }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (why === undefined) throw error
    return { kind: why }
  } finally {
    clearTimeout(timer)
  }
}

function isAncestor(holder: string): boolean {
  const pid = Number(/\(process (\d+)\)$/.exec(holder)?.[1])
  return Number.isInteger(pid) && pid !== process.pid && startedThis(pid)
}

class HeldFlight implements Flight {
  readonly #lease: Lease
  readonly #records: WorkspaceRecords
  readonly #name: string

  constructor(lease: Lease, records: WorkspaceRecords, name: string) {
    this.#lease = lease
    this.#records = records
    this.#name = name
  }

  keptNothing(): Promise<void> {
    return this.#records.save('flight', slotOf(this.#name), Buffer.from(`${this.#name} ${Date.now()}`))
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#lease[Symbol.asyncDispose]()
  }
}

/**
 * 256 slots, so that failing commands do not fill the store with words nobody reads again. Another name in the slot is
 * as no word at all: one takes over, and the others wait for it.
 */
function slotOf(name: string): string {
  return name.slice(0, 2)
}

function keptNothingSince(records: WorkspaceRecords, name: string, sinceMs: number): boolean {
  const word = records.load('flight', slotOf(name))
  if (word === undefined) return false
  const [whose, when] = Buffer.from(word).toString('latin1').split(' ')
  return whose === name && Number(when) >= sinceMs
}
