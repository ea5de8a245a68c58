import { CacheError } from '../../../../errors.ts'
import { head } from '../../../head.ts'
import { HttpClient } from '../../http/http-client.ts'
import { once } from '../../new-blob.ts'
import type { Patience } from '../../remote-server.ts'

export interface LenderQuestion {
  readonly method: 'GET' | 'PUT' | 'POST'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly proxy?: URL | undefined
  readonly patience?: Patience
}

export interface LenderAnswer {
  readonly status: number
  readonly text: string
}

const PATIENCE: Patience = { connectMs: 5_000, idleMs: 10_000 }
const MOST_BYTES = 64 << 10

/** One question to a service that lends credentials; nothing is kept open. Throws for what the network does. */
export async function askLender(question: LenderQuestion): Promise<LenderAnswer> {
  const { method, url, headers = {}, body = '', proxy, patience = PATIENCE } = question
  const server = { url: new URL(url.origin), place: placeOf(url), headers: {}, tls: {}, proxy }
  using client = new HttpClient(server, patience, () => undefined)
  const bytes = Buffer.from(body)
  await using answer = await client.ask({
    ...{ method, headers, path: `${url.pathname}${url.search}`, signal: undefined },
    ...(method !== 'GET' && { body: { sizeBytes: bytes.length, bytes: once(bytes) } }),
  })
  const { whole } = await head(answer.body, MOST_BYTES)
  return { status: answer.status, text: whole === undefined ? '' : Buffer.from(whole).toString() }
}

/** A service that answers, and lends none. What it says besides may repeat what it was shown. */
export function lentNothing(url: URL, { status }: LenderAnswer, code: string, hint: string): CacheError {
  const place = placeOf(url)
  const isAway = status === 429 || status >= 500
  const said = code === '' ? `HTTP ${status}` : `${code} (HTTP ${status})`
  return new CacheError(isAway ? 'remote.unreachable' : 'remote.denied', `${place} gave no credentials: ${said}.`, {
    ...{ hint, context: { server: place, status } },
  })
}

function placeOf({ host }: URL): string {
  return `what lends credentials at ${host}`
}
