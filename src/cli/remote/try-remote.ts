import { randomBytes } from 'node:crypto'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError, isCacheError } from '../../errors.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { openRemote } from '../../store/remote/open-remote.ts'
import type { RemoteAccess } from '../../store/remote/remote-address.ts'

export type Tried =
  | { readonly kind: 'writes' }
  /** It answers, and what is shown to it may not write. */
  | { readonly kind: 'reads'; readonly why: CacheError }
  | { readonly kind: 'no'; readonly why: CacheError }

/** Less than a person's patience, more than a far server takes. */
const TRY_MS = 5_000

/** Asks a remote cache for what nobody has, and writes it a few bytes: is it there, does it know us, and may we write? */
export async function tryRemote(address: string, access: RemoteAccess, signal?: AbortSignal): Promise<Tried> {
  await using end = await openRemote(address, { ...access, connectMs: TRY_MS, idleMs: TRY_MS })
  const within = AbortSignal.any([AbortSignal.timeout(3 * TRY_MS), ...(signal === undefined ? [] : [signal])])
  try {
    await end.actions.get(DEFAULT_SCOPE, asActionDigest(digestOf(randomBytes(32))), within)
  } catch (error) {
    return { kind: 'no', why: faultOf(error, address) }
  }
  try {
    await end.blobs.write(DEFAULT_SCOPE, digestOf(PROBE), PROBE, within)
    return { kind: 'writes' }
  } catch (error) {
    return { kind: 'reads', why: faultOf(error, address) }
  }
}

/** The same each time, so that a server keeps it once. */
const PROBE = Buffer.from('recue asks whether it may write here\n')

function faultOf(error: unknown, address: string): CacheError {
  if (isCacheError(error)) return error
  return new CacheError('remote.timed-out', `${address} did not answer in time.`, { cause: error })
}
