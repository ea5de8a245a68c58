import { isCacheError } from '../../errors.ts'
import type { TransferReport } from '../../store/tiered/tiered.ts'
import { formatSize } from '../../units/size.ts'
import { SHOWN_DIGITS } from '../key-lookup.ts'

const MOST_KEYS = 5

/** How a transfer went, for people: what was moved, what is not there, and each thing that went wrong once. */
export function transferLines(
  { actions, blobs, bytes, absent, failed }: TransferReport,
  { verb, to, where }: { readonly verb: string; readonly to: string; readonly where: string },
): string[] {
  const moved = blobs === 0 ? 'all blobs were there' : `${files(blobs)}, ${formatSize(bytes)}`
  const lines = actions === 0 ? [] : [`${verb} ${results(actions)}${to}: ${moved}.`]
  if (absent.length > 0) lines.push(`Not ${where}, or not whole: ${keys(absent.map(({ hash }) => hash))}.`)
  for (const [why, hashes] of byWhy(failed))
    lines.push(`Failed for ${results(hashes.length)} (${keys(hashes)}): ${why}`)
  return lines
}

/** The same for programs. */
export function transferJson({ actions, blobs, bytes, absent, failed }: TransferReport): Record<string, unknown> {
  return {
    results: actions,
    blobs,
    bytes,
    absent: absent.map(({ hash }) => hash),
    failed: failed.map(({ action, error }) => ({ key: action.hash, why: whyOf(error) })),
  }
}

function byWhy(failed: TransferReport['failed']): Map<string, string[]> {
  const reasons = new Map<string, string[]>()
  for (const { action, error } of failed) {
    const why = whyOf(error)
    reasons.set(why, [...(reasons.get(why) ?? []), action.hash])
  }
  return reasons
}

export function whyOf(error: unknown): string {
  if (isCacheError(error)) return error.hint === undefined ? error.message : `${error.message} ${error.hint}`
  return error instanceof Error ? error.message : 'it could not be kept here.'
}

function keys(hashes: readonly string[]): string {
  const shown = hashes.slice(0, MOST_KEYS).map((hash) => hash.slice(0, SHOWN_DIGITS))
  const rest = hashes.length - shown.length
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ')
}

export function results(count: number): string {
  return count === 1 ? '1 result' : `${count} results`
}

function files(count: number): string {
  return count === 1 ? '1 blob' : `${count} blobs`
}
