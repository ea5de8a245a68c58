import { type Trace, TraceBuilder } from '../evict/trace.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'

/** About what the record of a result takes beside what it holds; without it, results that only print would be free. */
const RECORD_BYTES = 512

/**
 * What was asked of the cache, as a trace for the simulator: runs that hit or missed, oldest first, with what their
 * results hold and what their commands took, at least a millisecond. Of what a server was asked the ledger has sums alone.
 */
export function ledgerTrace(records: Iterable<RunRecord>): Trace {
  const trace = new TraceBuilder()
  for (const { key, status, bytes, durationMs, savedMs, ownUs, tool } of records) {
    if (key === undefined || tool !== '' || (status !== 'hit' && status !== 'miss')) continue
    const commandMs = status === 'hit' ? durationMs + savedMs : durationMs - ownUs / 1000
    trace.add(key.hash, RECORD_BYTES + bytes, Math.max(1, commandMs))
  }
  return trace.trace()
}
