import { GrpcCode, GrpcStatus } from '../../grpc/status.ts'
import type { Scope } from '../../store/contracts.ts'

const MOST_CHARACTERS = 200
/** In a resource name these end the instance's. */
const RESERVED = /(^|\/)(blobs|uploads|actions|actionResults|operations|capabilities|compressed-blobs)(\/|$)/
const NOT_TEXT = /\p{Cc}/u

/** The scope of an `instance_name`. Throws INVALID_ARGUMENT for one that could not be told from what follows it. */
export function scopeOf(instance: string): Scope {
  if (instance === '') return DEFAULT
  if (instance.length > MOST_CHARACTERS || NOT_TEXT.test(instance) || RESERVED.test(instance))
    throw new GrpcStatus(
      GrpcCode.INVALID_ARGUMENT,
      'The instance_name is too long, or holds a segment that is reserved.',
    )
  return { instance }
}

const DEFAULT: Scope = { instance: '' }
