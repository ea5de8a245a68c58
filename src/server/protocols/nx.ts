import { checkedBytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type Reply } from '../protocol.ts'

const TEXT = { 'content-type': 'text/plain' }

/**
 * Nx's self-hosted remote cache (its OpenAPI document, `/v1/cache/{hash}`). Nx ends a build at a read that is answered by
 * anything but 200 and 404, so nothing else is ever said: what goes wrong, a token that is not known included, is 404 for a
 * read and 403 for a write; and a body is sent when all of it was found to be right, since Nx ends at one that breaks off, too.
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
    const body = found && (await checkedBytesOf(served, scope, found.digest, signal))
    if (body === undefined) return NOT_FOUND
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  },
  onFault: ({ method }) => (method === 'PUT' ? NOT_KEPT : NOT_FOUND),
  refuse: ({ method }, lacking) => (method === 'PUT' ? refused(lacking) : NOT_FOUND),
}

function refused(lacking: 'read' | 'write'): Reply {
  const body = lacking === 'write' ? 'This token may read and not write.\n' : 'A token is needed.\n'
  return { status: 403, headers: TEXT, body }
}

const NOT_KEPT: Reply = { status: 403, headers: TEXT, body: 'It was not kept.\n' }
