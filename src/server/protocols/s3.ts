import { artifactKey, bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import type { Protocol, ProtocolRequest, Reply, Served } from '../protocol.ts'

/**
 * As much of S3 as caches use: GET, HEAD, PUT and DELETE of an object, path style, in the bucket `s3`. A token is shown as the id of the access
 * key; signatures are not looked at, since whoever knows the token could sign. What goes wrong is told as by WebDAV, for the same tools.
 */
export const s3: Protocol = {
  name: 's3',
  prefix: '/s3',
  async answer(request, served): Promise<Reply> {
    const { method, path: key } = request
    if (key === '') return bucket(request)
    // Parts, tags, lists: what is not known must not be taken for the object itself. The JavaScript SDK says what it does as `x-id`.
    if ([...request.query.keys()].some((name) => name !== 'x-id')) return NOT_IMPLEMENTED
    if (method === 'GET' || method === 'HEAD') return object(request, served)
    if (method === 'PUT') return put(request, served)
    if (method !== 'DELETE') return NOT_IMPLEMENTED
    await served.actions.remove(request.scope, artifactKey('s3', key))
    return { status: 204 }
  },
  onFault: ({ method }) => (isRead(method) ? NO_SUCH_KEY : error(503, 'ServiceUnavailable')),
  refuse: ({ method }) => (isRead(method) ? NO_SUCH_KEY : error(403, 'AccessDenied')),
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Clients ask whether it is there, and where it lies. */
function bucket({ method, query }: ProtocolRequest): Reply {
  if (method === 'HEAD') return { status: 200 }
  if (method === 'GET' && query.has('location'))
    return { status: 200, headers: XML, body: `${DECLARATION}<LocationConstraint xmlns="${NAMESPACE}"/>\n` }
  return NOT_IMPLEMENTED
}

async function object({ path: key, scope, signal }: ProtocolRequest, served: Served): Promise<Reply> {
  const found = await findArtifact(served, scope, { tool: 's3', key }, signal)
  const body = found && (await bytesOf(served, scope, found.digest, signal))
  if (found === undefined || body === undefined) return NO_SUCH_KEY
  return { status: 200, headers: { ...BINARY, etag: `"${found.digest.hash}"` }, body }
}

/** Clients want a time; objects are the same whenever they were kept. */
const BINARY = {
  'content-type': 'application/octet-stream',
  'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
}

async function put(request: ProtocolRequest, served: Served): Promise<Reply> {
  const { headers, path: key } = request
  const announced = headers['x-amz-content-sha256']
  // The body would be in chunks of S3's own, between signatures.
  if (String(announced).startsWith('STREAMING-') || headers['content-encoding']?.includes('aws-chunked'))
    return NOT_IMPLEMENTED
  const kept = await keepArtifact(served, request, { tool: 's3', key })
  return kept === 'kept' ? { status: 200 } : error(400, 'IncompleteBody')
}

const XML = { 'content-type': 'application/xml' }
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
const NO_SUCH_KEY = error(404, 'NoSuchKey')
const NOT_IMPLEMENTED = error(501, 'NotImplemented')

function error(status: number, code: string): Reply {
  return { status, headers: XML, body: `${DECLARATION}<Error><Code>${code}</Code></Error>\n` }
}
