import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { CacheError } from '../../../errors.ts'
import { connectionFault, notSpoken, timedOut } from '../connection-fault.ts'
import type { Patience, RemoteServer } from '../remote-server.ts'
import { tunnelTo } from '../tunnel.ts'
import { Waiting } from '../waiting.ts'

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

/** One request and its answer, each bounded by how long nothing moves. */
class Exchange {
  readonly #request: ClientRequest
  readonly #server: RemoteServer
  readonly #waiting: Waiting
  readonly #connecting: Waiting
  readonly #signal: AbortSignal | undefined
  readonly #answered: Promise<IncomingMessage>
  #fault: unknown
  #isOver = false

  constructor(request: ClientRequest, server: RemoteServer, patience: Patience, signal: AbortSignal | undefined) {
    this.#request = request
    this.#server = server
    this.#signal = signal
    this.#waiting = this.#patient(patience.idleMs)
    this.#connecting = this.#patient(patience.connectMs)
    const abort = () => this.#fail(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    request.once('socket', (socket) => {
      if (!socket.connecting) return
      this.#connecting.begin()
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => this.#connecting.end())
    })
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    request.once('response', resolve).once('error', reject)
    request.once('close', () => {
      this.#isOver = true
      this.#connecting.end()
      this.#waiting.end()
      signal?.removeEventListener('abort', abort)
      reject(new Error('aborted'))
    })
    // Whoever sends a body hears of it only after the body.
    promise.then(
      () => this.#connecting.end(),
      () => undefined,
    )
    this.#answered = promise
  }

  async response(body: AsyncIterable<Uint8Array> | undefined): Promise<IncomingMessage> {
    try {
      if (body === undefined) this.#request.end()
      else await this.#send(body)
    } catch (error) {
      this.#request.destroy()
      throw this.#fault ?? error
    }
    this.#waiting.begin()
    try {
      return await this.#answered
    } catch (error) {
      throw this.#explained(error)
    } finally {
      this.#waiting.end()
    }
  }

  async *body(response: IncomingMessage, received: (bytes: number) => void): AsyncGenerator<Uint8Array> {
    const iterator = response[Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#waiting.begin()
        const next = await iterator.next()
        this.#waiting.end()
        if (next.done) break
        received(next.value.length)
        yield next.value
      }
      if (!response.complete) throw new Error('aborted')
    } catch (error) {
      throw this.#explained(error)
    } finally {
      if (!response.complete) response.destroy()
    }
  }

  /** Until all is sent, or the server has answered before it was. */
  async #send(body: AsyncIterable<Uint8Array>): Promise<void> {
    let wake: (() => void) | undefined
    const over = () => {
      this.#isOver = true
      wake?.()
    }
    this.#answered.then(over, over)
    this.#request.on('drain', () => wake?.())
    for await (const piece of body) {
      if (this.#isOver) return
      if (this.#request.write(piece)) continue
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      this.#waiting.begin()
      if (!this.#isOver) await promise
      this.#waiting.end()
    }
    if (!this.#isOver) this.#request.end()
  }

  #patient(ms: number): Waiting {
    return new Waiting(ms, () => this.#fail(timedOut(this.#server, ms)))
  }

  #fail(why: unknown): void {
    this.#fault ??= why
    this.#request.destroy()
  }

  #explained(error: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason
    return this.#fault ?? connectionFault(this.#server, 'HTTP', error)
  }
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
  const isAway = status === 502 || status === 503 || status === 504
  throw new CacheError(isAway ? 'remote.unreachable' : 'remote.failed', `${place} answered HTTP ${status}.`, {
    hint: 'Its own words are in its log.',
    context,
  })
}
