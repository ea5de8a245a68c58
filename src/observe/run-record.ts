import type { ActionRequest } from '../action/request.ts'
import type { RunOutcome } from '../action/run-outcome.ts'
import type { RunRecord } from '../proto/recue/v1/recue.ts'
import { labelOf, thingOf } from './thing.ts'

/** What the ledger keeps of a run of recue's own. */
export function runRecordOf(request: ActionRequest, task: string | undefined, outcome: RunOutcome): RunRecord {
  const { root, workingDirectory, argv } = request
  return {
    thing: thingOf({ root, workingDirectory, task, argv }),
    label: labelOf(task, argv),
    root,
    startedMs: outcome.startedMs,
    status: outcome.status,
    key: outcome.key,
    exitCode: outcome.exitCode,
    durationMs: Math.round(outcome.durationMs),
    savedMs: Math.round(outcome.savedMs),
    ownUs: Math.round(outcome.ownMs * 1000),
    reason: outcome.reason ?? '',
    source: outcome.source ?? '',
    bytes: outcome.outputBytes,
    // Not a server's, and one.
    tool: '',
    count: 0,
  }
}
