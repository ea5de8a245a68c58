import { type CacheError, type ErrorCode, isCacheError } from '../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'

const CODES: Partial<Record<ErrorCode, { readonly code: GrpcCode; readonly message: string }>> = {
  'store.full': { code: GrpcCode.RESOURCE_EXHAUSTED, message: 'No space is left.' },
  'store.busy': { code: GrpcCode.UNAVAILABLE, message: 'The store is busy.' },
  'store.read-only': { code: GrpcCode.PERMISSION_DENIED, message: 'The store is read-only.' },
  'store.incomplete': { code: GrpcCode.FAILED_PRECONDITION, message: 'A blob that is named is not there.' },
  'remote.unreachable': { code: GrpcCode.UNAVAILABLE, message: 'The storage behind this server does not answer.' },
  'remote.timed-out': { code: GrpcCode.UNAVAILABLE, message: 'The storage behind this server does not answer.' },
  'store.no-entry': { code: GrpcCode.NOT_FOUND, message: 'Nothing is kept under that key.' },
}

/** No matter of whoever asks, who would take it for a right that is not given. */
const STORAGE_FULL = CODES['store.full']

function isOfStorage({ code, context }: CacheError): boolean {
  return code === 'store.read-only' && context.server !== undefined
}

/**
 * What a client is told of what a handler threw. Only what a handler says by a GrpcStatus of its own goes out word for
 * word: other messages may name paths.
 */
export function statusOf(error: unknown): GrpcStatus {
  if (error instanceof GrpcStatus) return error
  const known = isCacheError(error) ? (isOfStorage(error) ? STORAGE_FULL : CODES[error.code]) : undefined
  return new GrpcStatus(known?.code ?? GrpcCode.INTERNAL, known?.message ?? 'A fault of the server, told in its log.')
}
