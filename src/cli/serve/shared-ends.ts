import type { GuardLimits } from '../../store/guarded/guard-limits.ts'
import type { RemoteEnd } from '../../store/remote/remote-end.ts'
import { shownAddress } from '../../store/remote/shown-address.ts'

/**
 * What several servers share, as a server can bear it: storage that stands still costs those who wait a few seconds once, and
 * nothing while it is left alone. A write that could not be done throws, so that nobody is told that it was.
 */
export async function openShared({
  cas,
  ac,
}: {
  readonly cas: string
  readonly ac?: string | undefined
}): Promise<RemoteEnd> {
  const blobs = await opened(cas, BLOBS_PATIENCE, BLOB_LIMITS)
  if (ac === undefined) return blobs
  const { splitEnds } = await import('../../store/split/split-ends.ts')
  return splitEnds({ blobs, results: await opened(ac, RESULTS_PATIENCE, RESULT_LIMITS) })
}

async function opened(
  address: string,
  patience: typeof BLOBS_PATIENCE,
  limits: Partial<GuardLimits>,
): Promise<RemoteEnd> {
  const [{ openRemote }, { guarded }] = await Promise.all([
    import('../../store/remote/open-remote.ts'),
    import('../../store/guarded/guarded.ts'),
  ])
  return guarded(await openRemote(address, patience), { place: shownAddress(address), limits })
}

/** Behind a build that waits stands a server that waits: less than the tools' own patience, more than a slow moment takes. */
const COMMON: Partial<GuardLimits> = {
  coolDownMs: 500,
  mostCoolDownMs: 5_000,
  coolDownPerLostMs: 2,
  mostLostMs: 2_000,
  refusedMs: 5_000,
}
const BLOBS_PATIENCE = { connectMs: 2_000, idleMs: 10_000 }
const BLOB_LIMITS: Partial<GuardLimits> = {
  ...COMMON,
  firstAnswerMs: 2_000,
  mostFirstAnswerMs: 4_000,
  lookUpMs: 5_000,
  leastPatienceMs: 1_000,
  graceMs: 5_000,
}
const RESULTS_PATIENCE = { connectMs: 1_000, idleMs: 2_000 }
/** A look-up of a result is also one of its blobs, which have a bound of their own: only what the Redis itself says counts. */
const RESULT_LIMITS: Partial<GuardLimits> = {
  ...COMMON,
  firstAnswerMs: 20_000,
  mostFirstAnswerMs: 20_000,
  lookUpMs: 20_000,
  leastPatienceMs: 20_000,
  graceMs: 20_000,
  hedgeBudget: { reserve: 0, share: 0 },
}
