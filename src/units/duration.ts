import { CacheError } from '../errors.ts'

const MS_OF_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}
const PART = /\s*(\d+(?:\.\d+)?|\.\d+)\s*(ms|min|[smhdw])/iy

/**
 * Milliseconds, from a duration as people write it: `7d`, `90s`, `1h30m`, `250 ms`. A number needs its unit; only `0`
 * stands alone. Throws `usage`.
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  let ms = 0
  PART.lastIndex = 0
  while (PART.lastIndex < trimmed.length || trimmed === '') {
    const part = PART.exec(trimmed)
    if (part === null) {
      throw new CacheError('usage', `"${text}" is not a duration.`, { hint: 'Write it like 30s, 5m, 1h30m or 7d.' })
    }
    ms += Number(part[1]) * (MS_OF_UNIT[(part[2] as string).toLowerCase()] as number)
  }
  return Math.round(ms)
}

/** `9 ms`, `12.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`: two units at most. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, durationMs)
  if (ms < 999.5) return `${ms > 0 && ms < 0.95 ? ms.toFixed(1) : Math.round(ms)} ms`
  // 59.96 s would be printed as 60.0 s.
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return twoUnits(seconds, 60, 'min', 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return twoUnits(minutes, 60, 'h', 'min')
  return twoUnits(Math.round(minutes / 60), 24, 'd', 'h')
}

function twoUnits(amount: number, big: number, bigName: string, smallName: string): string {
  const rest = amount % big
  const whole = `${Math.floor(amount / big)} ${bigName}`
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`
}
