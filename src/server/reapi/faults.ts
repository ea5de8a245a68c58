import { isCacheError } from '../../errors.ts'
import { GrpcCode, GrpcStatus } from '../grpc/status.ts'

/**
 * What a client is told when a blob cannot be read, whyever: that it is not there, since it can do without. A fault of ours
 * goes along as `cause`, to be logged; what is damaged has been told already.
 */
export function missOf(error: unknown, what: string): GrpcStatus {
  if (error instanceof GrpcStatus) return error
  const miss = new GrpcStatus(GrpcCode.NOT_FOUND, `${what} is not here, or not whole.`)
  if (!isCacheError(error) || error.code !== 'store.corrupt') miss.cause = error
  return miss
}

/** What came is not what its digest says: the client's mistake. Everything else is thrown as it was. */
export function refusalOf(error: unknown): unknown {
  return isCacheError(error) && error.code === 'store.corrupt'
    ? new GrpcStatus(GrpcCode.INVALID_ARGUMENT, error.message)
    : error
}
