import { bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

const TEXT = { 'content-type': 'text/plain' }

/**
 * Nx's self-hosted remote cache (its OpenAPI document, `/v1/cache/{hash}`). Nx ends a build at any status that its document
 * does not name, so nothing else is ever said: what goes wrong is 404 for a read and 403 for a write.
 */
export const nx: Protocol = {
  name: 'nx',
  prefix: '/v1/cache',
  async answer(request, served): Promise<Reply> {
    const { method, path: key, scope, signal } = request
    if (method === 'PUT') {
      const kept = await keepArtifact(served, request, { tool: 'nx', key })
      return kept === 'kept' ? { status: 200 } : NOT_KEPT
    }
    const found = method === 'GET' ? await findArtifact(served, scope, { tool: 'nx', key }, signal) : undefined
    const body = found && (await bytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  },
  onFault: ({ method }) => (method === 'PUT' ? NOT_KEPT : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write'
      ? { status: 403, headers: TEXT, body: 'This token may read and not write.\n' }
      : { status: 401, headers: TEXT, body: 'A token is needed: NX_SELF_HOSTED_REMOTE_CACHE_ACCESS_TOKEN.\n' },
}

const NOT_KEPT: Reply = { status: 403, headers: TEXT, body: 'It was not kept.\n' }
