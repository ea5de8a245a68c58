/** One of a command's two output streams. */
export type StreamName = 'stdout' | 'stderr'

/**
 * Beyond this many changes from one stream to the other the order is no longer kept: it is part of the action result,
 * which every hit reads.
 */
const MAX_RUNS = 1 << 16

/**
 * The order in which two streams were received, as lengths: a positive number is that many bytes of stdout, a negative
 * one that many of stderr. Neighbours of one stream are one number.
 */
export class StreamOrder {
  readonly #runs: number[] = []

  add(stream: StreamName, sizeBytes: number): void {
    if (sizeBytes === 0) return
    const runs = this.#runs
    const length = stream === 'stdout' ? sizeBytes : -sizeBytes
    const last = runs.at(-1)
    if (last !== undefined && last > 0 === length > 0) runs[runs.length - 1] = last + length
    else if (runs.length < MAX_RUNS) runs.push(length)
    else runs[runs.length - 2] = (runs.at(-2) as number) + length
  }

  /** A copy. */
  lengths(): number[] {
    return [...this.#runs]
  }
}
