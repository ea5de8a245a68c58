import type { ActionLookup } from '../../store/contracts.ts'
import { completedMs } from '../action-result.ts'
import type { KeyedAction } from '../key/keyed-action.ts'
import type { ActiveRun } from './run-action-active.ts'

export type Hit = Extract<ActionLookup, { kind: 'hit' }>
/** What the cache has for a run; `reason` is one line. */
export type Look = { readonly kind: 'hit'; readonly hit: Hit } | { readonly kind: 'miss'; readonly reason: string }

/** Asks for a result that this run may use. */
export async function look(run: ActiveRun, action: KeyedAction): Promise<Look> {
  const { options, engine } = run
  if (options.force) return miss('it was forced')
  if (!options.read) return miss('the cache was not to be read')
  const found = await run.attempt(() => engine.actions.get(engine.scope, action.key, options.signal))
  if (found === undefined) return miss(run.fault ?? 'the cache could not be read')
  if (found.kind === 'miss') return miss(MISSES[found.why])
  if (found.result.exitCode !== 0 && !options.cacheFailures)
    return miss('the kept result is a failure, and failures are not replayed')
  if (isTooOld(found, run.means.maxAgeMs)) return miss(MISSES.expired)
  return { kind: 'hit', hit: found }
}

/** Why it missed, where a remote was not waited for any longer. */
export const UNANSWERED: string =
  'nothing is kept here for this key, and the remote cache had not answered while that was worth the time'

const MISSES: Readonly<Record<Extract<ActionLookup, { kind: 'miss' }>['why'], string>> = {
  absent: 'nothing is kept for this key',
  expired: 'the kept result has expired',
  incomplete: 'some of the kept result is gone',
  corrupt: 'the kept result was damaged',
  unanswered: UNANSWERED,
}

function isTooOld({ result }: Hit, maxAgeMs: number | undefined): boolean {
  return maxAgeMs !== undefined && (completedMs(result) ?? 0) + maxAgeMs < Date.now()
}

function miss(reason: string): Look {
  return { kind: 'miss', reason }
}
