import type { Stats } from 'node:fs'
import type { TreeSnapshot } from '../digest/tree-snapshot.ts'

/**
 * Told of all that a hit rests on, while it is found. Whoever finds all of it as it was knows that the same request comes
 * to the same hit. What is told was looked at before anything of it was read.
 */
export interface Witness {
  /** `stats` of what the path leads to when `isFollowed`, else of itself; undefined: nothing is there. */
  saw(path: string, stats: Stats | undefined, isFollowed: boolean): void
  /** Nothing in it had changed. Relative to the root. */
  held(what: 'inputs' | 'outputs', snapshot: TreeSnapshot): void
  /** Names of the variables in the key. */
  keyed(names: readonly string[]): void
  /** The hit rests on something else, too. */
  unsure(): void
}
