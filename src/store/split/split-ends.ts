import { CacheError } from '../../errors.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'

/**
 * The blobs of one end and the action results of another, as one: S3 for what is large, Redis for what is asked for often. A result is
 * complete when the end of the blobs has what it names. Throws `usage` where the end of the results cannot look elsewhere for blobs,
 * as no server does that checks results itself. Owns both.
 */
export function splitEnds(ends: { readonly blobs: RemoteEnd; readonly results: RemoteEnd }): RemoteEnd {
  const { blobs, frames, fetches, names } = ends.blobs
  const { actionsOver, fleetLeases } = ends.results
  if (actionsOver === undefined)
    throw new CacheError('usage', 'That remote cache keeps action results only together with their blobs.', {
      hint: 'Name a Redis for the action results.',
    })
  return {
    blobs,
    actions: actionsOver(blobs),
    actionsOver,
    ...(frames !== undefined && { frames }),
    ...(fetches !== undefined && { fetches }),
    ...(names !== undefined && { names }),
    ...(fleetLeases !== undefined && { fleetLeases }),
    receivedBytes: () => (ends.blobs.receivedBytes?.() ?? 0) + (ends.results.receivedBytes?.() ?? 0),
    async [Symbol.asyncDispose]() {
      await using _blobs = ends.blobs
      await using _results = ends.results
    },
  }
}
