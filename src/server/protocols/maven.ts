import { bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { METHOD_NOT_ALLOWED, NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

/**
 * What Maven's build cache extension keeps by HTTP: files under dotted paths (`v1.1/group/artifact/checksum/buildinfo.xml`), as in a
 * Maven repository; a later one takes an earlier one's place, and folders need not be made.
 */
export const maven: Protocol = {
  name: 'maven',
  prefix: '/maven',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope, signal } = request
    if (method === 'PUT') {
      const kept = await keepArtifact(served, request, { tool: 'maven', key })
      return { status: kept === 'kept' ? 201 : 400 }
    }
    if (method !== 'GET' && method !== 'HEAD') return METHOD_NOT_ALLOWED
    const found = await findArtifact(served, scope, { tool: 'maven', key }, signal)
    const body = found && (await bytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  },
  onFault: ({ method }) => (method === 'PUT' ? { status: 503 } : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write' ? { status: 403 } : { status: 401, headers: { 'www-authenticate': 'Basic realm="recue"' } },
}
