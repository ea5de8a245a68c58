import type { ActionDigest } from '../digest/digest.ts'
import type { Scope } from './contracts.ts'

/**
 * Work that any machine of a fleet may be doing: one does it, the others wait and look its result up. Best effort, and never
 * a promise: whoever does not want to wait does the work as well, and what is kept is kept by the rules of the ActionStore.
 */
export interface FleetLeases {
  /**
   * Done when the work is the caller's, or another one has ended it. Waits as long as it takes: who has enough aborts the
   * signal. Throws its reason, and `remote.*` where the leases lie on another machine.
   */
  hold(scope: Scope, action: ActionDigest, options: FleetHoldOptions): Promise<FleetTurn>
  /**
   * How long things take as a rule, in milliseconds, by those who did them under a lease lately: of each what is known. Throws
   * as `hold` does.
   */
  usual(scope: Scope, things: readonly string[], signal?: AbortSignal): Promise<readonly (number | undefined)[]>
}

export interface FleetHoldOptions {
  /** For those who wait: what is done, and by whom. */
  readonly label: string
  /** What is done, whatever it is done with: the same on all machines, for 100 characters at most. Tells the fleet how long it takes. */
  readonly thing?: string | undefined
  /** How long the work takes as a rule, in milliseconds; undefined where the caller has never done it. */
  readonly usualMs?: number | undefined
  /** False: the caller is at the work already, and goes on whatever is said. */
  readonly isAwaited?: boolean
  /** Another one does it. Called again when that changes, and may be called in between. */
  readonly onWait?: (holder: FleetHolder) => void
  readonly signal?: AbortSignal | undefined
}

export interface FleetHolder {
  readonly label: string
  /** For how long it has been at it, in milliseconds. */
  readonly forMs: number
  /** As the holder knows it, or else the fleet from others who have done the same thing. */
  readonly usualMs: number | undefined
}

export type FleetTurn =
  | { readonly kind: 'held'; readonly lease: FleetLease }
  /** `isKept`: a result was kept. */
  | { readonly kind: 'ended'; readonly isKept: boolean }

/** Things of one question, at most. */
export const MOST_THINGS = 1_000

/** Disposed of before its `end`, it goes to one of those who wait, as when its holder dies. */
export interface FleetLease extends AsyncDisposable {
  /** The work has ended: all who wait hear of it at once. */
  end(isKept: boolean): Promise<void>
}
