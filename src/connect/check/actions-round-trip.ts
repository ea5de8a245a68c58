import { openUpstream, type Upstream, UpstreamFault } from '../front/upstream.ts'
import { prefixOf, type ServerAddress } from '../server-address.ts'
import type { Finding } from './finding.ts'
import { STEP_MS } from './http-round-trip.ts'

const SERVICE = '/twirp/github.actions.results.api.v1.CacheService'

/** Saves an archive and restores it, as `@actions/cache` does. */
export async function actionsRoundTrip(address: ServerAddress, nonce: string): Promise<Finding> {
  using upstream = openUpstream(address, { connectMs: STEP_MS, idleMs: STEP_MS })
  try {
    return await roundTrip(upstream, prefixOf(address), nonce)
  } catch (error) {
    if (error instanceof UpstreamFault || error instanceof SyntaxError) return failed(`a call failed: ${error.message}`)
    throw error
  }
}

async function roundTrip(upstream: Upstream, prefix: string, nonce: string): Promise<Finding> {
  const entry = { key: `recue-check-${nonce.slice(0, 32)}`, version: nonce }
  const call = async (method: string, fields: object) => {
    const path = `${prefix}${SERVICE}/${method}`
    const { status, text } = await asked(upstream, 'POST', path, JSON.stringify({ ...entry, ...fields }), JSON_HEADERS)
    if (status !== 200) throw new UpstreamFault(`${method} was answered ${status}: ${text.slice(0, 200)}`)
    return JSON.parse(text) as Record<string, unknown>
  }
  const created = await call('CreateCacheEntry', {})
  if (created.ok !== true) return failed('no entry could be created')
  const put = await asked(upstream, 'PUT', pathOf(created.signed_upload_url), nonce, { 'x-ms-blob-type': 'BlockBlob' })
  if (put.status !== 201) return failed(`the upload was answered ${put.status}`)
  const finalized = await call('FinalizeCacheEntryUpload', { size_bytes: String(nonce.length) })
  if (finalized.ok !== true) return failed('the upload was not accepted')
  const found = await call('GetCacheEntryDownloadURL', { restore_keys: [] })
  if (found.ok !== true) return failed('the entry was not found again')
  const got = await asked(upstream, 'GET', pathOf(found.signed_download_url))
  if (got.status !== 200 || got.text !== nonce)
    return failed(`the download was answered ${got.status}, with other bytes`)
  return { name: 'round trip', status: 'ok', what: 'saved an archive, and restored the same' }
}

const JSON_HEADERS = { 'content-type': 'application/json' }

/** It is an address of this server: only its way is another. */
function pathOf(url: unknown): string {
  const { pathname, search } = new URL(String(url))
  return pathname + search
}

async function asked(upstream: Upstream, method: string, path: string, body?: string, headers: object = {}) {
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const length = bytes && { 'content-length': String(bytes.length) }
  const answer = await upstream.ask({
    ...{ method, path, headers: { ...headers, ...length }, signal: AbortSignal.timeout(STEP_MS) },
    body: bytes && pieces(bytes),
  })
  const text = answer.body instanceof Uint8Array ? String(answer.body) : ''
  return { status: answer.status, text }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function failed(what: string): Finding {
  return { name: 'round trip', status: 'fail', what, hint: 'The server says more on its standard error.' }
}
