import type { IncomingHttpHeaders } from 'node:http'
import type { ActionDigest } from '../digest/digest.ts'
import type { Ledger } from '../observe/ledger.ts'
import type { ActionResult } from '../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import { durationOf, namedSizeBytes } from '../store/named-blobs.ts'
import { type Caller, callerOf } from './caller.ts'

/** A look-up that was answered, or a result that was brought. */
export interface Use {
  readonly kind: 'hit' | 'miss' | 'kept'
  readonly instance: string
  readonly action: ActionDigest
  /** The tool, where its protocol says it; else the request's headers may. Nothing is read of them at once. */
  readonly by: string | { readonly headers: IncomingHttpHeaders }
  /** Of a hit and of what was kept: its `result` is read later, too. */
  readonly of?: { readonly result: ActionResult }
}

/** What a server tells of the requests that it answers, for the run ledger. */
export interface Usage {
  /** Notes it down and does nothing else; whoever waits for an answer does not wait for the ledger. */
  note(use: Use): void
}

/** What is written down together, so that one write holds many. */
const WINDOW_MS = 1_000
/** So many of each kind are looked at in a window, and stand for all: as much as a build does in a second, some milliseconds of work. */
const MOST_SAMPLES = 2_000
/** Look-ups that missed and wait for their result: what a tool does takes seconds or minutes. */
const MOST_AWAITED = 50_000
const LONGEST_WAIT_MS = 3_600_000

/**
 * Writes down who asked a server for what: hits as one record for each tool, project and kind of work in a second; what was
 * brought as a record of its own, so that an entry can be told where it came from. A look-up that missed becomes one when its
 * result is brought (a miss), or does not come within an hour (not kept). Dispose of it to write what is left.
 */
export function openUsage(ledger: Ledger, now: () => number = Date.now): Usage & Disposable {
  return new LedgerUsage(ledger, now)
}

/** Alike in all that a person asks for. */
interface Group {
  readonly caller: Caller
  readonly instance: string
  readonly status: RunRecord['status']
  count: number
  savedMs: number
  bytes: number
}

class LedgerUsage implements Usage, Disposable {
  readonly #ledger: Ledger
  readonly #now: () => number
  #window = emptyWindow()
  #timer: NodeJS.Timeout | undefined
  /** By key and instance, oldest first. */
  readonly #awaited = new Map<string, Awaited>()

  constructor(ledger: Ledger, now: () => number) {
    this.#ledger = ledger
    this.#now = now
  }

  note(use: Use): void {
    const seen = this.#window[use.kind]
    seen.count++
    if (seen.samples.length < MOST_SAMPLES) seen.samples.push(use)
    this.#timer ??= setTimeout(() => this.#flush(), WINDOW_MS).unref()
  }

  [Symbol.dispose](): void {
    this.#flush(Number.POSITIVE_INFINITY)
  }

  #flush(nowMs: number = this.#now()): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { hit, miss, kept } = this.#window
    this.#window = emptyWindow()
    const groups = new Map<string, Group>()
    for (const use of hit.samples) add(groups, 'hit', use, weightOf(hit))
    for (const use of miss.samples) this.#await(use, weightOf(miss), nowMs)
    const records = kept.samples.map((use) => this.#keptRecord(use, weightOf(kept)))
    for (const [key, { use, weight, sinceMs }] of this.#awaited) {
      if (nowMs - sinceMs < LONGEST_WAIT_MS && this.#awaited.size <= MOST_AWAITED) break
      this.#awaited.delete(key)
      add(groups, 'uncached', use, weight)
    }
    for (const group of groups.values()) records.push(this.#groupRecord(group))
    this.#ledger.appendAll(records)
  }

  #await(use: Use, weight: number, nowMs: number): void {
    const key = keyOf(use)
    const before = this.#awaited.get(key)?.weight ?? 0
    // Set anew, so that the oldest come first.
    this.#awaited.delete(key)
    this.#awaited.set(key, { use, weight: weight + before, sinceMs: Math.min(nowMs, this.#now()) })
  }

  #keptRecord(use: Use, weight: number): RunRecord {
    const wasAsked = this.#awaited.delete(keyOf(use))
    const caller = callerIn(use)
    return {
      ...this.#record(caller, use.instance, wasAsked ? 'miss' : 'bypassed'),
      key: use.action,
      durationMs: durationIn(use),
      bytes: bytesIn(use),
      count: Math.round(weight),
    }
  }

  #groupRecord({ caller, instance, status, count, savedMs, bytes }: Group): RunRecord {
    const sums = { count: Math.round(count), savedMs: Math.round(savedMs), bytes: Math.round(bytes) }
    return { ...this.#record(caller, instance, status), ...sums }
  }

  #record({ tool, task }: Caller, instance: string, status: RunRecord['status']): RunRecord {
    return {
      thing: JSON.stringify([instance, { tool, task }]),
      label: task === '' ? tool : `${tool} ${task}`,
      root: instance,
      startedMs: this.#now(),
      status,
      key: undefined,
      ...{ exitCode: 0, durationMs: 0, savedMs: 0, ownUs: 0, reason: '', source: '', bytes: 0 },
      tool,
      count: 1,
    }
  }
}

interface Awaited {
  readonly use: Use
  readonly weight: number
  readonly sinceMs: number
}

interface Seen {
  count: number
  readonly samples: Use[]
}

function emptyWindow(): Readonly<Record<Use['kind'], Seen>> {
  return { hit: { count: 0, samples: [] }, miss: { count: 0, samples: [] }, kept: { count: 0, samples: [] } }
}

/** For how many each of the samples stands. */
function weightOf({ count, samples }: Seen): number {
  return count / samples.length
}

function add(groups: Map<string, Group>, status: RunRecord['status'], use: Use, weight: number): void {
  const caller = callerIn(use)
  const key = `${status}\0${caller.tool}\0${caller.task}\0${use.instance}`
  const group = groups.get(key) ?? { caller, instance: use.instance, status, count: 0, savedMs: 0, bytes: 0 }
  groups.set(key, group)
  group.count += weight
  if (status !== 'hit') return
  group.savedMs += durationIn(use) * weight
  group.bytes += bytesIn(use) * weight
}

function callerIn({ by }: Use): Caller {
  return typeof by === 'string' ? { tool: by, task: '' } : callerOf(by.headers)
}

/** What a client says of times may be anything. */
function durationIn({ of }: Use): number {
  const ms = of === undefined ? 0 : durationOf(of.result)
  return ms > 0 && ms < MOST_MS ? Math.round(ms) : 0
}

const MOST_MS = 30 * 24 * 3_600_000

function bytesIn({ of }: Use): number {
  const bytes = of === undefined ? 0 : namedSizeBytes(of.result)
  return Number.isSafeInteger(bytes) ? bytes : 0
}

function keyOf({ action: { hash }, instance }: Use): string {
  return `${hash} ${instance}`
}
