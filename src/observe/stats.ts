import type { RunTotals } from '../proto/recue/v1/ledger.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import type { Catalog, StoreUsage } from '../store/contracts.ts'
import type { Ledger } from './ledger.ts'
import { sumRuns } from './run-totals.ts'

/** What the cache did, and what it cost. Times in milliseconds, sizes in bytes. */
export interface CacheStats {
  /** Unix time of the first run that is counted; undefined when there was none. */
  readonly sinceMs: number | undefined
  readonly runs: number
  readonly hits: number
  /** Of the hits, those that a remote cache had. */
  readonly remoteHits: number
  /** Ran, and the result is kept. */
  readonly misses: number
  /** Ran, and the result is not kept. */
  readonly uncached: number
  /** Ran without asking the cache. */
  readonly bypassed: number
  /** Hits among the runs that asked the cache, from 0 to 1; undefined when none did. */
  readonly hitRate: number | undefined
  /** What commands took when they ran, less what their hits took. */
  readonly savedMs: number
  /** Content of outputs that hits wrote, and that misses stored. */
  readonly restoredBytes: number
  readonly storedBytes: number
  /** recue's own time. A hit's is its whole time; a miss's is what it added to the command. */
  readonly ownTime: { readonly hit: OwnTime | undefined; readonly miss: OwnTime | undefined }
  /** Most run first. */
  readonly tasks: readonly TaskStats[]
  /** Who asked: recue's own runs, and the tools that a server answered; most run first. */
  readonly tools: readonly ToolStats[]
  readonly store: StoreUsage
}

/** Of the newest runs: the ledger keeps sums of older ones, and no percentiles. */
export interface OwnTime {
  readonly runs: number
  readonly p50Ms: number
  readonly p95Ms: number
}

export interface TaskStats {
  /** Empty for the sum of those that ran least. */
  readonly label: string
  readonly root: string
  readonly runs: number
  readonly hits: number
  readonly misses: number
  readonly hitRate: number | undefined
  readonly savedMs: number
}

export interface ToolStats {
  /** Empty for recue's own runs. */
  readonly tool: string
  readonly runs: number
  readonly hits: number
  readonly misses: number
  /** Among the runs that asked the cache. */
  readonly hitRate: number | undefined
  readonly savedMs: number
}

/** Enough for a percentile, few enough to sort while somebody waits. */
const MOST_SAMPLES = 10_000

/** From `sinceMs` on, or from the first run that was ever recorded. */
export async function cacheStats(
  { ledger, catalog }: { readonly ledger: Ledger; readonly catalog: Catalog },
  options: { readonly sinceMs?: number } = {},
): Promise<CacheStats> {
  const hits: number[] = []
  const misses: number[] = []
  const totals = totalsOf(ledger, options.sinceMs, (record) => {
    if (record.tool !== '') return
    const samples = record.status === 'hit' ? hits : record.status === 'miss' ? misses : undefined
    if (samples !== undefined && samples.length < MOST_SAMPLES) samples.push(record.ownUs)
  })
  const { runs, uncached, bypassed, savedMs, restoredBytes, storedBytes } = totals
  return {
    sinceMs: totals.firstMs === 0 ? undefined : totals.firstMs,
    ...{ runs, hits: totals.hits, remoteHits: totals.remoteHits, misses: totals.misses, uncached, bypassed },
    hitRate: rate(totals.hits, runs - bypassed),
    ...{ savedMs, restoredBytes, storedBytes },
    ownTime: { hit: ownTime(hits), miss: ownTime(misses) },
    tasks: totals.tasks.map((task) => ({ ...task, hitRate: rate(task.hits, task.runs) })),
    tools: totals.tools.map(({ bypassed, ...tool }) => ({ ...tool, hitRate: rate(tool.hits, tool.runs - bypassed) })),
    store: await catalog.usage(),
  }
}

function totalsOf(ledger: Ledger, sinceMs: number | undefined, seen: (record: RunRecord) => void): RunTotals {
  // The sums are read first: what is rotated away meanwhile is then missed by the newest, never counted twice.
  const before = sinceMs === undefined ? ledger.rotatedTotals() : undefined
  return sumRuns(runsSince(ledger, sinceMs ?? 0, seen), before)
}

function* runsSince(ledger: Ledger, sinceMs: number, seen: (record: RunRecord) => void): Generator<RunRecord> {
  for (const record of ledger.records({ newestFirst: true })) {
    if (record.startedMs < sinceMs) continue
    seen(record)
    yield record
  }
}

function rate(part: number, whole: number): number | undefined {
  return whole === 0 ? undefined : part / whole
}

function ownTime(samplesUs: readonly number[]): OwnTime | undefined {
  if (samplesUs.length === 0) return undefined
  const sorted = Float64Array.from(samplesUs).sort()
  const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] as number) / 1000
  return { runs: sorted.length, p50Ms: at(0.5), p95Ms: at(0.95) }
}
