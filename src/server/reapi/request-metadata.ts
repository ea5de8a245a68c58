import type { IncomingHttpHeaders } from 'node:http'
import { RequestMetadata } from '../../proto/build/bazel/remote/execution/v2/cache_services.ts'

const HEADER = 'build.bazel.remote.execution.v2.requestmetadata-bin'
/** Names of a target, an action, a tool and two UUIDs are some hundred characters. */
const MOST_CHARACTERS = 8 << 10

/** As the client sent it; decoding is for whoever reads it, off the way of the request. */
export function rawMetadata(headers: IncomingHttpHeaders): string | undefined {
  const value = headers[HEADER]
  return typeof value === 'string' ? value : undefined
}

/** Who asks, for which target and action. Undefined when it is not said, or cannot be read: nothing depends on it. */
export function requestMetadata(raw: string | undefined): RequestMetadata | undefined {
  if (raw === undefined || raw.length > MOST_CHARACTERS) return undefined
  // A header that was sent twice arrives with its values joined.
  const [first = ''] = raw.split(',', 1)
  try {
    return RequestMetadata.decode(Buffer.from(first, 'base64'))
  } catch {
    return undefined
  }
}
