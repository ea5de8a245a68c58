/** How much one more time says. */
const WEIGHT = 1 / 4

/**
 * How long work takes as a rule, in milliseconds, after it took `tookMs`. By ratio: one that hung for an hour says little of work that
 * takes seconds.
 */
export function usualAfter(usualMs: number | undefined, tookMs: number): number {
  const latest = Math.max(1, tookMs)
  return usualMs === undefined ? latest : usualMs * (latest / usualMs) ** WEIGHT
}
