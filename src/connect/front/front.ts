import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { type ListenAddress, listenHttp } from '../../server/http-listener.ts'
import { sendReply } from '../../server/http-reply.ts'
import { bodyOf, type RequestBody } from '../../server/http-request.ts'
import { isRead, type ProtocolRequest, type Reply } from '../../server/protocol.ts'
import { type Route, routeOf } from '../../server/router.ts'
import { PROTOCOLS } from '../../server/serve.ts'
import { greet, troubleWith } from '../greet.ts'
import { prefixOf, type ServerAddress } from '../server-address.ts'
import { Breaker } from './breaker.ts'
import { type Answer, openUpstream, type Upstream, UpstreamFault } from './upstream.ts'

export interface FrontOptions {
  readonly listen: ListenAddress
  readonly server: ServerAddress
  /** How long a connection may take, and whether the server is well may be asked. */
  readonly connectMs?: number
  /** How long nothing may come of what was asked. */
  readonly idleMs?: number
  /** How long the server is left alone after it failed. */
  readonly pauseMs?: number
  /** Told when all begins to be a miss, and when it ends. */
  readonly onChange?: (change: { readonly isOpen: boolean; readonly why: string | undefined }) => void
}

/** Dispose of it to end: what is under way has the grace period. */
export interface RunningFront extends AsyncDisposable {
  /** As a tool is told it: `http://127.0.0.1:8378`. */
  readonly url: string
}

const CONNECT_MS = 1_000
const IDLE_MS = 10_000
const PAUSE_MS = 5_000
const GRACE_MS = 2_000

/**
 * Stands between tools of this machine and a recue elsewhere: passes on what they ask, with the token that they then need
 * not have, and turns any outage into a miss in the words of their protocol. What is answered was received whole before.
 * Throws `usage` when the address cannot be had.
 */
export async function openFront(options: FrontOptions): Promise<RunningFront> {
  const { server, connectMs = CONNECT_MS, idleMs = IDLE_MS, pauseMs = PAUSE_MS } = options
  const upstream = openUpstream(server, { connectMs, idleMs })
  const breaker = new Breaker({
    probe: async () => troubleWith(server, await greet(server, connectMs))?.what,
    pauseMs,
    onChange: (change) => options.onChange?.(change),
  })
  const front = new Front(server, upstream, breaker)
  const listener = await listenHttp(options.listen, (...args) => front.take(...args)).catch((error: unknown) => {
    breaker[Symbol.dispose]()
    throw error
  })
  return {
    url: listener.url,
    async [Symbol.asyncDispose]() {
      breaker[Symbol.dispose]()
      await listener.close(GRACE_MS)
      upstream[Symbol.dispose]()
    },
  }
}

class Front {
  readonly #server: ServerAddress
  readonly #upstream: Upstream
  readonly #breaker: Breaker

  constructor(server: ServerAddress, upstream: Upstream, breaker: Breaker) {
    this.#server = server
    this.#upstream = upstream
    this.#breaker = breaker
  }

  take(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    response.on('error', () => undefined)
    request.on('error', () => undefined)
    void this.#handle(request, response, bodyOf(request, response, expectsContinue)).catch(() => response.destroy())
  }

  async #handle(request: IncomingMessage, response: ServerResponse, body: RequestBody): Promise<void> {
    const isHead = request.method === 'HEAD'
    if (isOfBrowser(request)) return void (await sendReply(response, FORBIDDEN, { isHead, keepAlive: false }))
    const url = new URL(request.url ?? '/', 'http://localhost')
    const route = routeOf(PROTOCOLS, url.pathname)
    const answer = await this.#answered(request, url, route, body)
    if (answer !== undefined && isHead) return void response.writeHead(answer.status, answer.headers).end()
    const reply = answer ?? missFor(request, url, route, body)
    await sendReply(response, reply, { isHead, keepAlive: await body.drain() })
  }

  /** Undefined: the server said nothing that a tool could use. */
  async #answered(
    request: IncomingMessage,
    url: URL,
    route: Route | undefined,
    body: RequestBody,
  ): Promise<Answer | undefined> {
    const signal = await this.#breaker.admit()
    const method = request.method ?? 'GET'
    const hasBody = request.headers['transfer-encoding'] !== undefined || (body.contentLength ?? 0) > 0
    if (signal === undefined) {
      if (hasBody) await readToEnd(body.bytes)
      return undefined
    }
    // Who names an instance means that one.
    const path = `${prefixOf(this.#server, route?.instance === '' ? this.#server.instance : '')}${url.pathname}${url.search}`
    try {
      const sent = hasBody ? body.bytes : undefined
      const answer = await this.#upstream.ask({ method, path, headers: request.headers, body: sent, signal })
      if (isOfUse(method, answer.status)) return answer
      if (typeof answer.body === 'object' && 'bytes' in answer.body) await answer.body.bytes[Symbol.asyncDispose]()
      if (isOutage(method, answer.status)) this.#breaker.trip(`it answered ${answer.status}`)
      return undefined
    } catch (error) {
      if (!(error instanceof UpstreamFault)) throw error
      this.#breaker.trip(error.message)
      return undefined
    }
  }
}

/** What tools take for a hit, a miss or a write that was kept or not; all else could end a build. */
function isOfUse(method: string, status: number): boolean {
  if ((status >= 200 && status < 300) || status === 404 || status === 416) return true
  return !isRead(method) && [405, 409, 412, 413].includes(status)
}

/** A write may be refused by a server that is well. */
function isOutage(method: string, status: number): boolean {
  return status === 401 || status === 407 || (status >= 500 && isRead(method))
}

function missFor(request: IncomingMessage, url: URL, route: Route | undefined, body: RequestBody): Reply {
  if (route === undefined) return NOBODYS
  const asked: ProtocolRequest = {
    method: request.method ?? 'GET',
    path: route.rest,
    query: url.searchParams,
    headers: request.headers,
    isEncrypted: false,
    contentLength: body.contentLength,
    body: body.bytes,
    access: 'write',
    scope: { instance: route.instance },
    signal: NEVER,
  }
  return route.protocol.onFault(asked)
}

async function readToEnd(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body);
}

/**
 * A page in a browser must not use the token: it names its origin, or a name of its own that leads to this machine (DNS
 * rebinding). No tool does either.
 */
function isOfBrowser({ headers }: IncomingMessage): boolean {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return true
  const name = (headers.host ?? 'localhost').replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return name !== 'localhost' && isIP(name) === 0
}

const NEVER = new AbortController().signal
const TEXT = { 'content-type': 'text/plain' }
const FORBIDDEN: Reply = { status: 403, headers: TEXT, body: 'Not for pages in a browser.\n' }
const NOBODYS: Reply = { status: 404, headers: TEXT, body: 'The server is away.\n' }
