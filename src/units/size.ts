import { CacheError } from '../errors.ts'

const SIZE = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmgtp]?)(i?)b?$/i
const POWER: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 }
const NAMES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

/**
 * Bytes, from a size as people write it: `20MB` (millions), `2GiB` (1024³), `512`, `1.5 G`. An `i` means powers of 1024,
 * none means powers of 1000; case does not matter. Throws `usage`.
 */
export function parseSize(text: string): number {
  const [, amount = '', prefix = '', binary = ''] = SIZE.exec(text.trim()) ?? []
  const bytes = Number(amount) * (binary === '' ? 1000 : 1024) ** (POWER[prefix.toLowerCase()] ?? 0)
  if (amount === '' || (binary !== '' && prefix === '') || !Number.isSafeInteger(Math.round(bytes))) {
    throw new CacheError('usage', `"${text}" is not a size.`, { hint: 'Write it like 20MB, 2GiB or 512.' })
  }
  return Math.round(bytes)
}

/** `2.0 MB`, `512 B`: powers of 1000, two or three digits. */
export function formatSize(bytes: number): string {
  let value = bytes
  let power = 0
  // 999.5 would be printed as 1000: the next unit says it shorter.
  while (value >= 999.5 && power < NAMES.length - 1) {
    value /= 1000
    power++
  }
  const digits = power === 0 ? Math.round(value).toString() : value.toFixed(value < 9.95 ? 1 : 0)
  return `${digits} ${NAMES[power]}`
}
