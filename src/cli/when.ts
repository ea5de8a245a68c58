import { formatDuration } from '../units/duration.ts'

const UNITS = [
  ['s', 1_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
] as const

/** `just now`, `40 s ago`, `5 min ago`, `3 h ago`, `12 d ago`: one unit, rounded down. */
export function ago(thenMs: number, nowMs: number): string {
  const ms = nowMs - thenMs
  // A clock that was set back shows as a time to come; nobody is helped by reading that.
  const unit = UNITS.findLast(([, length]) => ms >= length)
  if (unit === undefined || ms < 10_000) return 'just now'
  return `${Math.floor(ms / unit[1])} ${unit[0]} ago`
}

/** `2026-11-21 12:07`, in the time zone of the person who reads it. */
export function dateAndTime(unixMs: number): string {
  const date = new Date(unixMs)
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

/** How long a pin still holds: `for ever`, `29 d 23 h`; nothing where there is none. */
/** Nothing where it is not known: not all tools say how long their work took. */
export function tookText(ms: number): string {
  return ms > 0 ? formatDuration(ms) : ''
}

export function pinText(untilMs: number | undefined, nowMs: number): string {
  if (untilMs === undefined) return ''
  return Number.isFinite(untilMs) ? formatDuration(untilMs - nowMs) : 'for ever'
}
