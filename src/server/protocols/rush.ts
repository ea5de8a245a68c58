import { checkedBytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

const UPLOADS = new Set(['PUT', 'POST', 'PATCH'])

/**
 * Rush's HTTP build cache: an archive is read by GET and sent by whichever of PUT, POST and PATCH a repository names
 * (`uploadMethod`). Rush warns of whatever goes wrong, and a build with a warning ends with 1; so what goes wrong is a miss, and an
 * upload that is not kept is said to be done.
 */
export const rush: Protocol = {
  name: 'rush',
  prefix: '/rush',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope, signal } = request
    if (UPLOADS.has(method)) {
      // A POST is let in with a token that reads: other protocols ask by it.
      if (request.access !== 'write') return TAKEN
      const kept = await keepArtifact(served, request, { tool: 'rush', key })
      return kept === 'kept' ? TAKEN : { status: 400 }
    }
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, headers: { allow: 'GET, HEAD, PUT, POST, PATCH' } }
    const found = await findArtifact(served, scope, { tool: 'rush', key }, signal)
    const body = found && (await checkedBytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  },
  onFault: ({ method }) => (UPLOADS.has(method) ? TAKEN : NOT_FOUND),
  refuse: ({ method }) => (UPLOADS.has(method) ? TAKEN : NOT_FOUND),
}

const TAKEN: Reply = { status: 200 }
