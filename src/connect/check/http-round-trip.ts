import { openUpstream, type Upstream, UpstreamFault } from '../front/upstream.ts'
import { prefixOf, type ServerAddress } from '../server-address.ts'
import type { HttpEntry } from '../tool.ts'
import type { Finding } from './finding.ts'

/** Bounds every step of a check. */
export const STEP_MS = 10_000

/** Puts an entry as the tool would, gets it, and compares. */
export async function httpRoundTrip(address: ServerAddress, entry: HttpEntry): Promise<Finding> {
  using upstream = openUpstream(address, { connectMs: STEP_MS, idleMs: STEP_MS })
  try {
    return await roundTrip(upstream, prefixOf(address), entry)
  } catch (error) {
    if (!(error instanceof UpstreamFault)) throw error
    return failed(`the server failed while it was asked: ${error.message}`, 'Its own words are on its standard error.')
  }
}

async function roundTrip(upstream: Upstream, prefix: string, { path, headers, body }: HttpEntry): Promise<Finding> {
  const put = await asked(upstream, 'PUT', { path: `${prefix}${path}`, headers, body })
  if (put.status === 404 || put.status === 405)
    return failed(
      `PUT ${path} was answered ${put.status}: that protocol is not spoken there`,
      'Is that the port for gRPC, or a server of another version?',
    )
  if (put.status < 200 || put.status >= 300)
    return failed(`PUT ${path} was answered ${put.status}: ${firstLine(put.text)}`)
  const get = await asked(upstream, 'GET', { path: `${prefix}${path}`, headers })
  if (get.status !== 200) return failed(`GET ${path} was answered ${get.status} after it was put`)
  if (get.text !== body) return failed(`GET ${path} gave other bytes back than were put`)
  return { name: 'round trip', status: 'ok', what: `put ${path}, and got the same back` }
}

interface Asked {
  readonly path: string
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly body?: string
}

async function asked(upstream: Upstream, method: string, { path, headers, body }: Asked) {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const length = bytes && { 'content-length': String(bytes.length) }
  const answer = await upstream.ask({
    ...{ method, path, headers: { ...headers, ...length }, signal: AbortSignal.timeout(STEP_MS) },
    body: bytes && piece(bytes),
  })
  const text = answer.body instanceof Uint8Array || typeof answer.body === 'string' ? String(answer.body) : ''
  if (typeof answer.body === 'object' && 'bytes' in answer.body) await answer.body.bytes[Symbol.asyncDispose]()
  return { status: answer.status, text }
}

async function* piece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function firstLine(text: string): string {
  return text.split('\n')[0] || 'it says no more'
}

function failed(what: string, hint?: string): Finding {
  return { name: 'round trip', status: 'fail', what, ...(hint !== undefined && { hint }) }
}
