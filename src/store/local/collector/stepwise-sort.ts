/** Sorted natively at a time: a few milliseconds. */
const RUN = 2_048
/** Merged between two turns of others. */
const MERGED_A_STEP = 65_536

/**
 * The places of the values in ascending order, equal ones as they stand: a merge sort from the bottom up that lets others
 * have their turn (`step`) every few milliseconds, where sorting a million at once would hold them up for a second.
 */
export async function orderOf(values: Float64Array, step: () => Promise<void>): Promise<Uint32Array> {
  let from = new Uint32Array(values.length)
  for (let i = 0; i < from.length; i++) from[i] = i
  for (let at = 0; at < from.length; at += RUN) {
    from.subarray(at, at + RUN).sort((a, b) => (values[a] as number) - (values[b] as number) || a - b)
    await step()
  }
  let into = new Uint32Array(from.length)
  for (let width = RUN; width < from.length; width *= 2) {
    for (let at = 0; at < from.length; at += 2 * width) await mergeRuns(values, { from, into, at, width }, step)
    ;[from, into] = [into, from]
  }
  return from
}

async function mergeRuns(
  values: Float64Array,
  { from, into, at, width }: { from: Uint32Array; into: Uint32Array; at: number; width: number },
  step: () => Promise<void>,
): Promise<void> {
  const middle = Math.min(at + width, from.length)
  const end = Math.min(at + 2 * width, from.length)
  let left = at
  let right = middle
  for (let to = at; to < end; to++) {
    const isLeft =
      left < middle &&
      (right >= end || (values[from[left] as number] as number) <= (values[from[right] as number] as number))
    into[to] = from[isLeft ? left++ : right++] as number
    if (to % MERGED_A_STEP === 0) await step()
  }
}
