import { bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

/**
 * Gradle's HTTP build cache. At any status but 404 and 413 Gradle leaves the cache alone for the rest of the build, so
 * what goes wrong is a miss for a read and "too large" for a write, and a token that may only read has its writes taken as such.
 */
export const gradle: Protocol = {
  name: 'gradle',
  prefix: '/gradle',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope, signal } = request
    if (method === 'PUT') {
      const kept = await keepArtifact(served, request, { tool: 'gradle', key })
      return kept === 'kept' ? { status: 200 } : NOT_KEPT
    }
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, headers: { allow: 'GET, HEAD, PUT' } }
    const found = await findArtifact(served, scope, { tool: 'gradle', key }, signal)
    const body = found && (await bytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/vnd.gradle.build-cache-artifact.v2' }, body }
  },
  onFault: ({ method }) => (method === 'PUT' ? NOT_KEPT : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write' ? NOT_KEPT : { status: 401, headers: { 'www-authenticate': 'Basic realm="recue"' } },
}

const NOT_KEPT: Reply = { status: 413 }
