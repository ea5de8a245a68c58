import { type CacheError, isCacheError } from '../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'

/** Told of what failed while a client was told of a miss. */
export type OnFault = (error: unknown) => void

/**
 * What a client is told when a blob cannot be read, whyever: that it is not there, since it can do without. Faults of ours are
 * told to `onFault`.
 */
export function missOf(error: unknown, what: string, signal: AbortSignal, onFault: OnFault): GrpcStatus {
  if (error instanceof GrpcStatus) return error
  tellFault(error, signal, onFault)
  return new GrpcStatus(GrpcCode.NOT_FOUND, `${what} is not here, or not whole.`)
}

/** What is damaged has been told already, and what fails when the client is gone is none. */
export function tellFault(error: unknown, signal: AbortSignal, onFault: OnFault): void {
  if (!isDamage(error) && !signal.aborted) onFault(error)
}

/** What came is not what its digest says: the client's mistake. Everything else is thrown as it was. */
export function refusalOf(error: unknown): unknown {
  return isDamage(error) ? new GrpcStatus(GrpcCode.INVALID_ARGUMENT, error.message) : error
}

function isDamage(error: unknown): error is CacheError {
  return isCacheError(error) && error.code === 'store.corrupt'
}
