import { type StatIdentity, sameIdentity, statIdentity } from '../../digest/stat-identity.ts'
import { lookAt } from './restore-look.ts'

/** A file, a link or an empty folder in an output that is not recue's, as it was before the command started. */
export interface Foreign {
  /** Relative to the root. */
  readonly path: string
  readonly identity: StatIdentity
}

/** How these paths look now, sorted; without those where nothing is. */
export function foreignAt(root: string, paths: readonly string[]): readonly Foreign[] {
  return paths.toSorted().flatMap((path) => {
    const stats = lookAt(`${root}/${path}`)
    return stats === undefined ? [] : [{ path, identity: statIdentity(stats) }]
  })
}

/**
 * Those that the command did not touch: its result would have them, though it did not make them. What it wrote anew, if
 * only with the same bytes, is its own.
 */
export function untouched(root: string, foreign: readonly Foreign[]): readonly string[] {
  return foreign
    .filter(({ path, identity }) => {
      const stats = lookAt(`${root}/${path}`)
      return stats !== undefined && sameIdentity(statIdentity(stats), identity)
    })
    .map(({ path }) => path)
}
