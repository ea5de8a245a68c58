import { setImmediate as breathe } from 'node:timers/promises'
import { belady } from './belady.ts'
import type { MakePolicy } from './policies.ts'
import type { EvictionPolicy } from './policy.ts'
import { nextUses, type Trace } from './trace.ts'

/** What a cache that is empty at first has to do again. */
export interface Misses {
  readonly misses: number
  readonly missedBytes: number
  readonly missedCostMs: number
}

export interface Replay {
  /** In bytes, or in objects. */
  readonly capacity: number
  /** Every object counts as 1, whatever its size. */
  readonly countsObjects: boolean
}

const REQUESTS_A_STEP = 1 << 17

/**
 * Replays a trace through a policy; other work goes on in between. On a miss, what is larger than the cache or not
 * admitted is left out; for the rest room is made, and it is inserted. An entry keeps the size with which it was
 * inserted. Throws the signal's reason when aborted.
 */
export async function simulate(
  trace: Trace,
  makePolicy: MakePolicy,
  replay: Replay,
  signal?: AbortSignal,
): Promise<Misses> {
  const run = new Run(trace, makePolicy(replay.capacity), replay)
  while (run.step()) {
    await breathe()
    signal?.throwIfAborted()
  }
  return run
}

/** Belady's optimum for {@link simulate}, which sees the whole trace beforehand. */
export async function simulateBelady(trace: Trace, replay: Replay, signal?: AbortSignal): Promise<Misses> {
  const next = nextUses(trace)
  const policy = belady<number>(() => next[run.at] as number)
  const run = new Run(trace, policy, replay)
  while (run.step()) {
    await breathe()
    signal?.throwIfAborted()
  }
  return run
}

class Run implements Misses {
  readonly #trace: Trace
  readonly #policy: EvictionPolicy<number>
  readonly #capacity: number
  readonly #countsObjects: boolean
  /** The request that is replayed now. */
  at = 0
  misses = 0
  missedBytes = 0
  missedCostMs = 0

  constructor(trace: Trace, policy: EvictionPolicy<number>, { capacity, countsObjects }: Replay) {
    this.#trace = trace
    this.#policy = policy
    this.#capacity = capacity
    this.#countsObjects = countsObjects
  }

  /** Some requests further; false at the end. */
  step(): boolean {
    const { keys, requests } = this.#trace
    const end = Math.min(requests, this.at + REQUESTS_A_STEP)
    for (; this.at < end; this.at++) if (!this.#policy.touch(keys[this.at] as number)) this.#miss()
    return end < requests
  }

  #miss(): void {
    const { keys, sizes, costs } = this.#trace
    const bytes = sizes?.[this.at] ?? 1
    const costMs = costs?.[this.at] ?? 0
    this.misses++
    this.missedBytes += bytes
    this.missedCostMs += costMs
    const sizeBytes = this.#countsObjects ? 1 : bytes
    if (sizeBytes > this.#capacity) return
    const entry = { key: keys[this.at] as number, sizeBytes, costMs }
    const policy = this.#policy
    if (!policy.admit(entry)) return
    while (policy.sizeBytes + sizeBytes > this.#capacity) policy.evict()
    policy.insert(entry)
  }
}
