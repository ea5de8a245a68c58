import { type ErrorCode, isCacheError } from '../../errors.ts'
import { abortable } from '../remote/waiting.ts'
import { type RemoteWork, tellRemote } from './remote-events.ts'
import type { FarTier } from './tiered.ts'

/** The far tier, opened when it is first needed, with all that goes wrong there told and answered with nothing. */
export class FarEnd {
  readonly place: string
  /** Ends what moves when the tiers are left. */
  readonly signal: AbortSignal
  readonly #open: () => Promise<FarTier>
  #opened: Promise<FarTier> | undefined
  #fault: unknown

  constructor(place: string, open: () => Promise<FarTier>, signal: AbortSignal) {
    this.place = place
    this.#open = open
    this.signal = signal
  }

  opened(): Promise<FarTier> {
    this.#opened ??= this.#open()
    return this.#opened
  }

  /** Undefined when it failed, which is told; unless it did because it was left off. */
  async attempt<T>(during: RemoteWork, work: (far: FarTier) => Promise<T>): Promise<T | undefined> {
    try {
      // Whoever leaves does not wait for an end that does not hear of it.
      return await abortable(this.opened().then(work), this.signal)
    } catch (error) {
      this.failed(during, error)
      return undefined
    }
  }

  /** What went wrong last. */
  get fault(): unknown {
    return this.#fault
  }

  failed(during: RemoteWork, error: unknown): void {
    this.#fault = error
    if (!this.signal.aborted) tellRemote({ kind: 'fault', place: this.place, during, error })
  }

  moved(kind: 'due' | 'moved' | 'lost', direction: 'down' | 'up', blobs: number, bytes: number): void {
    if (blobs > 0) tellRemote({ kind, direction, place: this.place, blobs, bytes })
  }
}

/** True when asking the same end for something else is of no use now. */
export function isOutage(error: unknown): boolean {
  return isCacheError(error) && OUTAGES.has(error.code)
}

const OUTAGES: ReadonlySet<string> = new Set([
  'usage',
  'remote.unreachable',
  'remote.timed-out',
  'remote.tls',
  'remote.denied',
  'remote.incompatible',
] satisfies ErrorCode[])
