import { bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

const UPLOADS = new Set(['PUT', 'POST', 'PATCH'])

/** Rush's HTTP build cache: a key's archive is read by GET and sent by whichever of PUT, POST and PATCH a repository names (`uploadMethod`). */
export const rush: Protocol = {
  name: 'rush',
  prefix: '/rush',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope, signal } = request
    if (UPLOADS.has(method)) {
      // A POST is let in with a token that reads: other protocols ask by it.
      if (request.access !== 'write') return REFUSED
      const kept = await keepArtifact(served, request, { tool: 'rush', key })
      return { status: kept === 'kept' ? 201 : 400 }
    }
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, headers: { allow: 'GET, HEAD, PUT, POST, PATCH' } }
    const found = await findArtifact(served, scope, { tool: 'rush', key }, signal)
    const body = found && (await bytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  },
  onFault: ({ method }) => (UPLOADS.has(method) ? { status: 503 } : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write' ? REFUSED : { status: 401, headers: { 'www-authenticate': 'Bearer' } },
}

const REFUSED: Reply = { status: 403 }
