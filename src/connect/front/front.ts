import { isIP } from 'node:net'
import type { HttpExchange } from '../../server/http-exchange.ts'
import { type ListenAddress, urlOf } from '../../server/listen/address.ts'
import { Connections } from '../../server/listen/connections.ts'
import { speaking } from '../../server/listen/protocol-listener.ts'
import { listenForSockets } from '../../server/listen/socket-listener.ts'
import { isRead, type Reply } from '../../server/protocol.ts'
import { type Route, routeOf } from '../../server/router.ts'
import { letGo } from '../../server/send-reply.ts'
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

const CONNECT_MS = 2_000
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
  const connections = new Connections()
  const take = speaking(connections, { http: (exchange) => front.take(exchange), grpc: undefined })
  const end = async (graceMs: number) => {
    breaker[Symbol.dispose]()
    await connections.close(graceMs)
    upstream[Symbol.dispose]()
  }
  try {
    const listener = await listenForSockets(options.listen, take, { isShared: false })
    return {
      url: urlOf(listener.address, 'http'),
      async [Symbol.asyncDispose]() {
        front.isEnding = true
        const stopped = listener.stop()
        await end(GRACE_MS)
        await stopped
      },
    }
  } catch (error) {
    await end(0)
    throw error
  }
}

class Front {
  isEnding = false
  readonly #server: ServerAddress
  readonly #upstream: Upstream
  readonly #breaker: Breaker

  constructor(server: ServerAddress, upstream: Upstream, breaker: Breaker) {
    this.#server = server
    this.#upstream = upstream
    this.#breaker = breaker
  }

  take(exchange: HttpExchange): void {
    void this.#handle(exchange).catch(() => exchange.cut())
  }

  async #handle(exchange: HttpExchange): Promise<void> {
    if (isOfBrowser(exchange)) return void (await exchange.send(FORBIDDEN, true))
    if (exchange.headers['content-type']?.startsWith('application/grpc'))
      return void (await exchange.send(NO_GRPC, false))
    const url = new URL(exchange.target, 'http://localhost')
    const route = routeOf(PROTOCOLS, url.pathname)
    const reply = (await this.#answered(exchange, url, route)) ?? missFor(exchange, url, route)
    try {
      await exchange.send(reply, this.isEnding)
    } finally {
      await letGo(reply)
    }
  }

  /** Undefined: the server said nothing that a tool could use. */
  async #answered(exchange: HttpExchange, url: URL, route: Route | undefined): Promise<Answer | undefined> {
    const { method, headers } = exchange
    const hasBody = headers['transfer-encoding'] !== undefined || (exchange.contentLength ?? 0) > 0
    const signal = await this.#breaker.admit()
    if (signal === undefined) {
      if (hasBody) await readToEnd(exchange.body)
      return undefined
    }
    // Who names an instance means that one.
    const prefix = prefixOf(this.#server, route?.instance === '' ? this.#server.instance : '')
    const path = `${prefix}${url.pathname}${url.search}`
    const body = hasBody ? exchange.body : undefined
    try {
      const answer = await this.#upstream.ask({ method, path, headers, body, signal })
      if (isOfUse(method, answer.status)) return answer
      await letGo(answer)
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

function missFor(exchange: HttpExchange, url: URL, route: Route | undefined): Reply {
  if (route === undefined) return NOBODYS
  const { method, headers, isEncrypted, contentLength, body, signal } = exchange
  return route.protocol.onFault({
    ...{ method, path: route.rest, query: url.searchParams, headers, isEncrypted, contentLength, body, signal },
    ...{ access: 'write', scope: { instance: route.instance } },
  })
}

async function readToEnd(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body);
}

/**
 * A page in a browser must not use the token: it names its origin, or a name of its own that leads to this machine (DNS
 * rebinding). No tool does either.
 */
function isOfBrowser({ headers }: HttpExchange): boolean {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) return true
  const name = String(headers.host ?? headers[':authority'] ?? 'localhost')
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
  return name !== 'localhost' && isIP(name) === 0
}

const TEXT = { 'content-type': 'text/plain' }
const FORBIDDEN: Reply = { status: 403, headers: TEXT, body: 'Not for pages in a browser.\n' }
/** Its clients take UNIMPLEMENTED from it, and build without a cache; they do so where nothing answers, too. */
const NO_GRPC: Reply = { status: 404, headers: TEXT, body: 'A front speaks no gRPC.\n' }
const NOBODYS: Reply = { status: 404, headers: TEXT, body: 'The server is away.\n' }
