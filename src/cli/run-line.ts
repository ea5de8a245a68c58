import type { RunOutcome } from '../action/run-outcome.ts'
import { formatDuration } from '../units/duration.ts'
import { formatSize } from '../units/size.ts'
import type { Paint } from './terminal.ts'

/** What the line needs to know: of the outputs, how many there are. */
export type SaidOutcome = Pick<RunOutcome, 'status' | 'written' | 'outputBytes' | 'isLeft' | 'savedMs' | 'durationMs'> &
  Partial<Pick<RunOutcome, 'exitCode' | 'source' | 'reason'>> & {
    readonly key: { readonly hash: string } | undefined
    readonly outputs: { readonly length: number }
  }

/** The one line that `run` says of a run, without `recue: ` before it. `why` is what changed since the last run. */
export function outcomeLine(
  outcome: SaidOutcome,
  options: { readonly paint: Paint; readonly why: string | undefined },
): string {
  const { paint, why } = options
  const took = paint('dim', formatDuration(outcome.durationMs))
  const key = outcome.key?.hash.slice(0, 10)
  switch (outcome.status) {
    case 'hit':
      return joined([
        `${paint('green', 'hit')} ${key}${outcome.source === 'remote' ? ' (remote)' : ''}`,
        restoredPart(outcome),
        savedPart(outcome),
        took,
      ])
    case 'miss': {
      const reason = why ?? outcome.reason
      const because = reason === undefined ? '' : ` (${reason})`
      return joined([`${paint('yellow', 'miss')} ${key}${because}`, keptPart(outcome), took])
    }
    case 'uncached':
      return joined([`${paint('yellow', 'not kept')}: ${outcome.reason ?? 'for no known reason'}`, took])
    case 'bypassed':
      return joined([`${paint('yellow', 'not cached')}: ${outcome.reason ?? 'the cache was not asked'}`, took])
  }
}

function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' · ')
}

function restoredPart({ outputs, written, outputBytes, isLeft }: SaidOutcome): string | undefined {
  if (isLeft) return 'outputs not fetched'
  if (outputs.length === 0) return undefined
  if (written === 0)
    return outputs.length === 1 ? '1 file as it should be' : `${files(outputs.length)} as they should be`
  if (written < outputs.length) return `restored ${written} of ${files(outputs.length)} (${formatSize(outputBytes)})`
  return `restored ${files(outputs.length)} (${formatSize(outputBytes)})`
}

function savedPart({ savedMs }: SaidOutcome): string | undefined {
  return savedMs <= 0 ? undefined : `saved ${formatDuration(savedMs)}`
}

function keptPart({ outputs, outputBytes, exitCode }: SaidOutcome): string {
  if (exitCode !== 0) return `kept exit code ${exitCode}`
  return outputs.length === 0 ? 'kept' : `kept ${files(outputs.length)} (${formatSize(outputBytes)})`
}

function files(count: number): string {
  return count === 1 ? '1 file' : `${count} files`
}
