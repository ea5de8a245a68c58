import type { LimitOptions } from './adaptive-limit.ts'
import { BREAKER_LIMITS, type BreakerLimits } from './breaker.ts'
import type { MovementLimits } from './movement.ts'

/** How much an end may cost those who ask it. */
export interface GuardLimits extends BreakerLimits, MovementLimits {
  /** A look-up of a process that has heard nothing of the end yet, until it is taken for dead. */
  readonly firstAnswerMs: number
  /** The same for an end that is known to need longer at first: connections over TLS and far. */
  readonly mostFirstAnswerMs: number
  /** A look-up of an end that has answered, repetitions and all. */
  readonly lookUpMs: number
  /** Of it, one attempt has so much at least, however quick the end mostly is. */
  readonly leastPatienceMs: number
  readonly mostRetries: number
  /** Before the first retry, at most; twice as much before each that follows, and any part of it by chance. */
  readonly retryMs: number
  /** Retries among all calls. */
  readonly retryBudget: { readonly reserve: number; readonly share: number }
  /** Second questions among look-ups. */
  readonly hedgeBudget: { readonly reserve: number; readonly share: number }
  /** What the end does not let us do, or why it is no such end, holds for so long. */
  readonly refusedMs: number
  readonly lookUps: LimitOptions
  /** In units of 64 KiB: what is larger counts as one, what is smaller as its part. */
  readonly transfers: LimitOptions
}

export const GUARD_LIMITS: GuardLimits = {
  ...BREAKER_LIMITS,
  firstAnswerMs: 150,
  mostFirstAnswerMs: 1_000,
  lookUpMs: 600,
  leastPatienceMs: 100,
  graceMs: 2_000,
  floorBytesPerSecond: 128 << 10,
  mostRetries: 2,
  retryMs: 50,
  retryBudget: { reserve: 10, share: 0.1 },
  hedgeBudget: { reserve: 1, share: 0.05 },
  refusedMs: 30_000,
  lookUps: { first: 64, least: 4, most: 512 },
  transfers: { first: 64, least: 4, most: 256 },
}

/** For an end whose first answer may take so long: those that follow may, too. */
export function limitsWithin(
  firstAnswerMs: number,
): Pick<GuardLimits, 'firstAnswerMs' | 'mostFirstAnswerMs' | 'lookUpMs'> {
  const { mostFirstAnswerMs, lookUpMs } = GUARD_LIMITS
  return {
    firstAnswerMs,
    mostFirstAnswerMs: Math.max(firstAnswerMs, mostFirstAnswerMs),
    lookUpMs: Math.max(firstAnswerMs, lookUpMs),
  }
}
