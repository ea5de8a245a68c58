import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { CacheError } from '../../../errors.ts'
import { notSpoken } from '../connection-fault.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import { tunnelTo } from '../tunnel.ts'
import { Exchange } from './exchange.ts'

/** Shorter than servers hold an idle connection, so that none is used that is just being closed. */
const KEEP_ALIVE_MS = 15_000
/** Connections: few enough for any server, enough to hide a far one's distance. */
export const MOST_CONNECTIONS = 32

/** Of an answer that nobody wants: a new connection costs more. */
const MOST_UNREAD_BYTES = 64 << 10

export interface Question {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Behind the server's own path. */
  readonly path: string
  /** Besides the server's own. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: { readonly sizeBytes: number; readonly bytes: AsyncIterable<Uint8Array> }
  readonly signal: AbortSignal | undefined
}

export interface Answer extends AsyncDisposable {
  /** 200 to 299, or 400, 404, 409, 413, unless the client was told to refuse others: what an end knows what to do with. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Undefined where it is not said. */
  readonly sizeBytes: number | undefined
  /** To be read once, or the answer disposed of. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Throws for an answer that is of no use whatever was asked. */
export type Refuse = (server: RemoteServer, answer: IncomingMessage) => void

/** Connections to one server, kept between requests. Redirects are not followed: nobody is shown our token whom we do not know. */
export class HttpClient implements Disposable {
  readonly server: RemoteServer
  readonly #patience: Patience
  readonly #refuse: Refuse
  readonly #agent: Agent
  #receivedBytes = 0
  readonly #received = (bytes: number) => {
    this.#receivedBytes += bytes
  }

  constructor(server: RemoteServer, patience: Patience, refuse: Refuse = refuseUnusable) {
    this.server = server
    this.#patience = patience
    this.#refuse = refuse
    this.#agent = agentFor(server, patience)
  }

  /** Of the bodies of all answers so far. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Throws CacheError for what the network does and for answers that no end can use, the signal's reason, and what the body throws. */
  async ask(question: Question): Promise<Answer> {
    question.signal?.throwIfAborted()
    const fresh = await this.server.freshHeaders?.()
    const request = this.#request(
      fresh === undefined ? question : { ...question, headers: { ...fresh, ...question.headers } },
    )
    const exchange = new Exchange(request, this.server, this.#patience, question.signal)
    const response = await exchange.response(question.body?.bytes)
    const body = exchange.body(response, this.#received)
    const { 'content-length': length } = response.headers
    const sizeBytes = length === undefined ? undefined : Number(length)
    const isShort = question.method === 'HEAD' || (sizeBytes ?? 0) <= MOST_UNREAD_BYTES
    // The connection is free for the next only when all of an answer was taken in.
    const leave = async () => {
      if (isShort) await takenIn(body)
      else response.destroy()
    }
    try {
      this.#refuse(this.server, response)
    } catch (error) {
      await leave()
      throw error
    }
    const { statusCode: status = 0, headers } = response
    return { status, headers, sizeBytes, body, [Symbol.asyncDispose]: leave }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #request({ method, path, headers: own, body }: Question): ClientRequest {
    const { url, socketPath, headers, tls } = this.server
    const { hostname, port } = url
    const place =
      socketPath === undefined
        ? { hostname: hostname.replace(/^\[|\]$/g, ''), ...(port !== '' && { port }) }
        : { socketPath }
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const length = body && { 'content-length': String(body.sizeBytes) }
    const options = { ...place, ...tls, agent: this.#agent, method, headers: { ...headers, ...own, ...length } }
    return send({ ...options, path: `${url.pathname.replace(/\/+$/, '')}${path}` })
  }
}

function agentFor(server: RemoteServer, { connectMs }: Patience): Agent {
  const settings = { keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: KEEP_ALIVE_MS }
  const agent = server.url.protocol === 'https:' ? new TlsAgent({ ...settings, ...server.tls }) : new Agent(settings)
  const { proxy } = server
  if (proxy !== undefined)
    agent.createConnection = (_options, connected) => {
      tunnelTo(server, proxy, { connectMs, protocol: 'HTTP' }).then(
        // Who asks by HTTP speaks first: nothing is lost.
        (socket) => connected?.(null, socket.resume()),
        (error: Error) => connected?.(error, undefined as never),
      )
      return undefined
    }
  return agent
}

/** However it ends: nobody wants it. Left before its end, its connection is. */
async function takenIn(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0
  try {
    for await (const piece of body) {
      bytes += piece.length
      if (bytes > MOST_UNREAD_BYTES) return
    }
  } catch {
    // The connection is gone with it.
  }
}

const USABLE = new Set([400, 404, 409, 413])

function refuseUnusable(server: RemoteServer, { statusCode: status = 0, headers }: IncomingMessage): void {
  const type = headers['content-type'] ?? ''
  const { place } = server
  const context = { server: place, status }
  if (status === 401 || status === 403)
    throw new CacheError('remote.denied', `${place} does not let this token do that (HTTP ${status}).`, {
      hint: 'Is the token right, not expired, and may it write where something is to be kept?',
      context,
    })
  if (status >= 300 && status < 400)
    throw notSpoken(server, 'HTTP', `it sends on to ${headers.location ?? 'another place'}`)
  if (status === 405 || status === 501 || status < 200) throw notSpoken(server, 'HTTP', `HTTP ${status}`)
  if (status < 300 && /^text\/html/i.test(type)) throw notSpoken(server, 'HTTP', 'a web page')
  if (status < 300 || USABLE.has(status)) return
  if (status === 507)
    throw new CacheError('store.full', `${place} has no room for more (HTTP 507).`, {
      hint: 'What it has can be had all the same.',
      context,
    })
  const isAway = status === 502 || status === 503 || status === 504
  throw new CacheError(isAway ? 'remote.unreachable' : 'remote.failed', `${place} answered HTTP ${status}.`, {
    hint: 'Its own words are in its log.',
    context,
  })
}
