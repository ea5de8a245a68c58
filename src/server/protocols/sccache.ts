import { artifactKey, bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type ProtocolRequest, type Reply, type Served } from '../protocol.ts'

/**
 * WebDAV (RFC 4918) as sccache uses it: GET, HEAD, PUT and DELETE of a key, PROPFIND and MKCOL of the folders on the way to it.
 * sccache tries its storage when it starts: a read that ends in anything but 200 and 404 and it compiles nothing at all; a write that is
 * refused and it only reads. So whatever goes wrong with a read is a miss, and with a write a refusal.
 */
export const sccache: Protocol = {
  name: 'sccache',
  prefix: '/sccache',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope } = request
    switch (method) {
      case 'GET':
      case 'HEAD':
        return read(request, served)
      case 'PUT':
        return { status: (await keepArtifact(served, request, { tool: 'sccache', key })) === 'kept' ? 201 : 400 }
      case 'DELETE':
        return (await served.actions.remove(scope, artifactKey('sccache', key))) ? { status: 204 } : NOT_FOUND
      case 'PROPFIND':
        return properties(request, served)
      case 'MKCOL':
        return { status: 201 }
      default:
        return { status: 405, headers: { allow: 'GET, HEAD, PUT, DELETE, PROPFIND, MKCOL' } }
    }
  },
  onFault: ({ method }) => (isRead(method) ? NOT_FOUND : { status: 503 }),
  refuse: ({ method }) => (isRead(method) ? NOT_FOUND : { status: 403 }),
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'PROPFIND'
}

async function read({ path: key, scope, signal }: ProtocolRequest, served: Served): Promise<Reply> {
  const found = await findArtifact(served, scope, { tool: 'sccache', key }, signal)
  const body = found && (await bytesOf(served, scope, found.digest, signal))
  if (body === undefined) return NOT_FOUND
  return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
}

/**
 * A path that ends in a slash is a folder, and every folder is there: keys are names in a table, so that none has to be made.
 * What lies in one is not told.
 */
async function properties({ path, scope, headers, signal }: ProtocolRequest, served: Served): Promise<Reply> {
  const isFolder = path === '' || path.endsWith('/')
  if (isFolder && headers.depth !== '0') return FINITE_DEPTH
  const found = isFolder ? undefined : await findArtifact(served, scope, { tool: 'sccache', key: path }, signal)
  if (!isFolder && found === undefined) return NOT_FOUND
  const kind =
    found === undefined ? FOLDER : `<D:resourcetype/><D:getcontentlength>${found.digest.sizeBytes}</D:getcontentlength>`
  const href = ['', ...(scope.instance === '' ? [] : [scope.instance]), 'sccache', path].join('/')
  return {
    status: 207,
    headers: XML,
    body: `${DECLARATION}<D:multistatus xmlns:D="DAV:"><D:response><D:href>${escaped(href)}</D:href><D:propstat><D:prop>${kind}${NO_TIME}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>\n`,
  }
}

const XML = { 'content-type': 'application/xml; charset=utf-8' }
const DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
const FOLDER = '<D:resourcetype><D:collection/></D:resourcetype>'
/** Clients want one; results are the same whenever they were kept. */
const NO_TIME = '<D:getlastmodified>Thu, 01 Jan 1970 00:00:00 GMT</D:getlastmodified>'
const FINITE_DEPTH: Reply = {
  status: 403,
  headers: XML,
  body: `${DECLARATION}<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n`,
}

/** As a path of a URL, in which nothing is left that XML would take for its own but the ampersand and the apostrophe. */
function escaped(path: string): string {
  return encodeURI(path).replaceAll('&', '&amp;').replaceAll("'", '&apos;')
}
