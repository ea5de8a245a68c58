import type { MemoryState } from './memory-pressure.ts'

/** Unless said: an eighth of what the process may have, and no more than this. */
const DEFAULT_BYTES = 256 << 20
const DEFAULT_SHARE = 1 / 8
/** Less than this part of the limit left, or tasks stalled for this part of the time, is pressure. */
const SCARCE_SHARE = 0.1
const STALLED_SHARE = 0.1
/** What is taken back each time while pressure lasts, and given again while it does not. */
const SHRINK = 0.5
const GROW = 0.1

/** The budget that is right for a process when nobody said one. */
export function defaultMemoryBytes(state: MemoryState): number {
  return Math.floor(Math.min(DEFAULT_BYTES, state.limitBytes * DEFAULT_SHARE))
}

export function isPressed({ limitBytes, availableBytes, stalled }: MemoryState): boolean {
  return availableBytes < limitBytes * SCARCE_SHARE || stalled > STALLED_SHARE
}

/**
 * How much may be held from now on: under pressure half of what is held, so that a few looks later it is next to nothing;
 * without, a tenth of the budget more than before, up to the budget.
 */
export function nextLimitBytes(
  state: MemoryState,
  { budgetBytes, limitBytes, heldBytes }: { budgetBytes: number; limitBytes: number; heldBytes: number },
): number {
  if (isPressed(state)) return Math.floor(Math.min(heldBytes, limitBytes) * SHRINK)
  return Math.min(budgetBytes, limitBytes + Math.ceil(budgetBytes * GROW))
}
