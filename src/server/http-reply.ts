import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Reply, ReplyBody } from './protocol.ts'

/**
 * Sends a reply. The first bytes of a stream are had before the status goes out, so that what cannot be read at all is
 * still a miss; where the bytes end early after that, the connection is cut, since the client must not take them for all.
 * Bytes are sent as they are, never encoded anew. Returns how many.
 */
export async function sendReply(
  response: ServerResponse,
  reply: Reply,
  { isHead, keepAlive }: { readonly isHead: boolean; readonly keepAlive: boolean },
): Promise<number> {
  const sizeBytes = sizeOf(reply.body)
  const headers = { ...reply.headers, 'content-length': String(sizeBytes), ...(!keepAlive && { connection: 'close' }) }
  const { body } = reply
  if (isHead || sizeBytes === 0) {
    response.writeHead(reply.status, headers).end()
    if (typeof body === 'object' && 'bytes' in body) await body.bytes[Symbol.asyncDispose]()
    return 0
  }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    response.writeHead(reply.status, headers).end(body)
    return sizeBytes
  }
  if (body !== undefined) await stream(response, body, () => response.writeHead(reply.status, headers))
  return sizeBytes
}

async function stream(
  response: ServerResponse,
  { bytes, sizeBytes }: Exclude<ReplyBody, string | Uint8Array>,
  start: () => void,
): Promise<void> {
  await using source = bytes
  let sent = 0
  for await (const chunk of source) {
    if (sent === 0) start()
    sent += chunk.length
    if (response.write(chunk)) continue
    if (response.destroyed) return
    await drainedOrClosed(response)
    if (response.destroyed) return
  }
  if (sent === sizeBytes) response.end()
  else response.destroy()
}

/** The loser of a race of two `once` would stay behind, a listener for each time that a slow reader is waited for. */
async function drainedOrClosed(response: ServerResponse): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  over.abort()
}

function sizeOf(body: ReplyBody | undefined): number {
  if (body === undefined) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  return body instanceof Uint8Array ? body.length : body.sizeBytes
}
