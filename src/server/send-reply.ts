import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { Reply, ReplyBody } from './protocol.ts'

export interface SendOptions {
  readonly isHead: boolean
  /** Sends the status and the headers. */
  readonly start: (status: number, headers: Record<string, string>) => void
}

/**
 * Sends a reply. The first bytes of a stream are had before the status goes out, so that what cannot be read at all is
 * still a miss; where the bytes end early after that, the connection is cut, since the client must not take them for all.
 * Bytes are sent as they are, never encoded anew. Returns how many. Whoever made the reply lets go of it.
 */
export async function sendReply(out: Writable, reply: Reply, { isHead, start }: SendOptions): Promise<number> {
  const sizeBytes = sizeOf(reply.body)
  const begin = () => start(reply.status, { ...reply.headers, 'content-length': String(sizeBytes) })
  const { body } = reply
  if (isHead || sizeBytes === 0) {
    begin()
    out.end()
    return 0
  }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    begin()
    out.end(body)
    return sizeBytes
  }
  if (body !== undefined) await stream(out, body, begin)
  return sizeBytes
}

/** Closes what a reply holds open, sent or not. */
export async function letGo({ body }: Reply): Promise<void> {
  if (typeof body === 'object' && 'bytes' in body) await body.bytes[Symbol.asyncDispose]()
}

async function stream(
  out: Writable,
  { bytes, sizeBytes }: Exclude<ReplyBody, string | Uint8Array>,
  begin: () => void,
): Promise<void> {
  let sent = 0
  for await (const chunk of bytes) {
    if (sent === 0) begin()
    sent += chunk.length
    if (out.write(chunk)) continue
    if (out.destroyed) return
    await drainedOrClosed(out)
    if (out.destroyed) return
  }
  if (sent === sizeBytes) out.end()
  else out.destroy()
}

/** The loser of a race of two `once` would stay behind, a listener for each time that a slow reader is waited for. */
async function drainedOrClosed(out: Writable): Promise<void> {
  const over = new AbortController()
  const { signal } = over
  await Promise.race([once(out, 'drain', { signal }), once(out, 'close', { signal })])
  over.abort()
}

function sizeOf(body: ReplyBody | undefined): number {
  if (body === undefined) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  return body instanceof Uint8Array ? body.length : body.sizeBytes
}
