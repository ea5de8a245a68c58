import { artifactKey, bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { METHOD_NOT_ALLOWED, NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

/**
 * ccache's HTTP storage, in all its layouts: `ab/cdef…` (subdirs), `abcdef…` (flat) and `ac/…` (bazel, whose values are no
 * action results). The layout is part of the key. ccache leaves a storage alone after any 5xx, and after a refusal, for as long as that
 * compile takes; so what goes wrong is a miss, and a write that is not kept is said to be done.
 */
export const ccache: Protocol = {
  name: 'ccache',
  prefix: '/ccache',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope, signal } = request
    if (method === 'PUT') {
      const kept = await keepArtifact(served, request, { tool: 'ccache', key })
      return { status: kept === 'kept' ? 201 : 400 }
    }
    if (method === 'DELETE') {
      const isGone = await served.actions.remove(scope, artifactKey('ccache', key))
      return isGone ? { status: 204 } : NOT_FOUND
    }
    if (method !== 'GET' && method !== 'HEAD') return METHOD_NOT_ALLOWED
    const found = await findArtifact(served, scope, { tool: 'ccache', key }, signal)
    const body = found && (await bytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  },
  onFault: ({ method }) => (method === 'PUT' ? { status: 200 } : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write' ? { status: 200 } : { status: 401, headers: { 'www-authenticate': 'Basic realm="recue"' } },
}
