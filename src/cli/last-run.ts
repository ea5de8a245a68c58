import type { RunRecord } from '../proto/recue/v1/recue.ts'
import type { Session } from './command.ts'

/** The last run in this project that is called so: by its task, by its whole command line, or `last` for whatever it was. */
export function lastRun(word: string, { cache, place }: Session): RunRecord | undefined {
  for (const record of cache.ledger.records({ newestFirst: true }))
    if (record.root === place.root && (word === 'last' || record.label === word)) return record
  return undefined
}
