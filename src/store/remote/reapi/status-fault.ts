import { CacheError } from '../../../errors.ts'
import { GrpcCode, GrpcStatus } from '../../../grpc/status.ts'
import type { RemoteServer } from '../remote-server.ts'

/** What a server said of a call, as an error of ours. What is no GrpcStatus is given back as it is. */
export function statusFault({ place }: RemoteServer, error: unknown): unknown {
  if (!(error instanceof GrpcStatus)) return error
  const said = `${error.message === '' ? 'it says no more' : error.message} (${nameOf(error.code)})`
  const context = { server: place, status: error.code }
  switch (error.code) {
    case GrpcCode.UNAUTHENTICATED:
      return new CacheError('remote.denied', `${place} does not know this token, or asks for one: ${said}.`, {
        hint: 'Is the token right, and has it not expired? To give another: recue login ADDRESS.',
        context,
      })
    case GrpcCode.PERMISSION_DENIED:
      return new CacheError('remote.denied', `${place} does not let this token do that: ${said}.`, {
        hint: 'To keep results a token is needed that may write.',
        context,
      })
    case GrpcCode.UNIMPLEMENTED:
      return new CacheError('remote.incompatible', `${place} does not speak all of REAPI's cache: ${said}.`, {
        hint: 'Is it a cache, and of a version that is not too old?',
        context,
      })
    case GrpcCode.UNAVAILABLE:
      return new CacheError('remote.unreachable', `${place} cannot answer just now: ${said}.`, {
        hint: 'It may be starting, ending or overloaded.',
        context,
      })
    case GrpcCode.DEADLINE_EXCEEDED:
      return new CacheError('remote.timed-out', `${place} took too long: ${said}.`, { context })
    default:
      return new CacheError('remote.failed', `${place} failed: ${said}.`, {
        hint: 'Its own words are in its log.',
        context,
      })
  }
}

/** The same of a call that was to keep something. */
export function keepFault(server: RemoteServer, error: unknown): unknown {
  if (!hasCode(error, GrpcCode.RESOURCE_EXHAUSTED)) return statusFault(server, error)
  const { place } = server
  return new CacheError('store.full', `${place} has no room for more: ${error.message} (RESOURCE_EXHAUSTED).`, {
    hint: 'Its own words are in its log. What it has can be had all the same.',
    context: { server: place, status: error.code },
  })
}

export function hasCode(error: unknown, ...codes: readonly GrpcCode[]): error is GrpcStatus {
  return error instanceof GrpcStatus && codes.includes(error.code)
}

function nameOf(code: GrpcCode): string {
  return Object.entries(GrpcCode).find(([, number]) => number === code)?.[0] ?? String(code)
}
