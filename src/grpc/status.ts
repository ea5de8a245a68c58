import type { Any } from '../proto/google/protobuf/any.ts'

/** The codes of gRPC (https://grpc.io/docs/guides/status-codes/). */
export const GrpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

export type GrpcCode = (typeof GrpcCode)[keyof typeof GrpcCode]

/** What a service throws to end a call: the client is told its code, its message and its details, and nothing more. */
export class GrpcStatus extends Error {
  readonly code: GrpcCode
  /** Goes into `grpc-status-details-bin`. */
  readonly details: readonly Any[]

  constructor(code: GrpcCode, message: string, details: readonly Any[] = []) {
    super(message)
    this.name = 'GrpcStatus'
    this.code = code
    this.details = details
  }
}
