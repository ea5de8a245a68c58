import type { Gate } from './access.ts'
import { greeting, isGreeting } from './greeting.ts'
import type { HttpExchange } from './http-exchange.ts'
import { isRead, type Protocol, type ProtocolRequest, type Reply, type Served } from './protocol.ts'
import { routeOf } from './router.ts'
import { letGo } from './send-reply.ts'
import type { AccessEntry, Fault } from './watcher.ts'

export interface HttpAnswersOptions {
  readonly protocols: readonly Protocol[]
  readonly gate: Gate
  /** False once the end was asked for, and while the store is gone. */
  readonly isReady: () => boolean
  readonly onRequest?: ((entry: AccessEntry) => void) | undefined
  readonly onFault?: ((fault: Fault) => void) | undefined
}

/** What nginx made usual in access logs for a client that went away before it was answered. */
const CLIENT_GONE = 499

/** What came of a request, before it is sent. */
interface Answered {
  readonly reply: Reply
  readonly protocol: string
  readonly instance: string
}

/** Finds for each request over HTTP who answers it, and whether it may be asked. */
export class HttpAnswers {
  readonly #served: Served
  readonly #options: HttpAnswersOptions

  constructor(served: Served, options: HttpAnswersOptions) {
    this.#served = served
    this.#options = options
  }

  take(exchange: HttpExchange): void {
    void this.#handle(exchange).catch(() => exchange.cut())
  }

  async #handle(exchange: HttpExchange): Promise<void> {
    const start = performance.now()
    let receivedBytes = 0
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of exchange.body) {
        receivedBytes += chunk.length
        yield chunk
      }
    }
    // What is no path belongs to nobody, and is answered so.
    const url = URL.parse(exchange.target, 'http://localhost') ?? new URL('http://localhost/%00')
    const { reply, protocol, instance } = await this.#answer(exchange, url, { [Symbol.asyncIterator]: counted })
    const isGone = exchange.signal.aborted
    let sentBytes = 0
    try {
      if (!isGone) sentBytes = await exchange.send(reply, !this.#options.isReady())
    } finally {
      await letGo(reply)
    }
    this.#options.onRequest?.({
      ...{ protocol, instance, method: exchange.method, path: url.pathname },
      ...{ status: isGone ? CLIENT_GONE : reply.status, receivedBytes, sentBytes },
      durationMs: performance.now() - start,
    })
  }

  async #answer(
    { method, headers, isEncrypted, contentLength, signal }: HttpExchange,
    url: URL,
    body: AsyncIterable<Uint8Array>,
  ): Promise<Answered> {
    const route = routeOf(this.#options.protocols, url.pathname)
    const own = route === undefined ? this.#own(method, url.pathname, headers.authorization) : undefined
    if (own !== undefined) return { reply: own, protocol: 'recue', instance: '' }
    if (route === undefined) return { reply: nobodys(headers['content-type']), protocol: '', instance: '' }
    const { protocol, instance, rest: path } = route
    const access = this.#options.gate.accessOf(headers.authorization)
    const request = {
      method,
      path,
      query: url.searchParams,
      headers,
      isEncrypted,
      contentLength,
      body,
      access,
      scope: { instance },
      signal,
    }
    const isRefused = protocol.isSigned !== true && lacks(access, method)
    const reply = isRefused
      ? protocol.refuse(request, access === 'none' ? 'read' : 'write')
      : await this.#ask(protocol, request)
    return { reply, protocol: protocol.name, instance }
  }

  /** For whoever watches over the server; no token is asked for, and nothing is told but that it lives, and what a token shown may. */
  #own(method: string, path: string, authorization: string | undefined): Reply | undefined {
    if (method !== 'GET' && method !== 'HEAD') return undefined
    if (path === '/healthz') return { status: 200, body: 'ok\n' }
    if (isGreeting(path)) return greeting(this.#options.gate.accessOf(authorization))
    if (path !== '/readyz') return undefined
    return this.#options.isReady() ? { status: 200, body: 'ready\n' } : { status: 503, body: 'not ready\n' }
  }

  async #ask(protocol: Protocol, request: ProtocolRequest): Promise<Reply> {
    try {
      return await protocol.answer(request, this.#served)
    } catch (error) {
      if (!request.signal.aborted) this.#options.onFault?.({ protocol: protocol.name, error })
      return protocol.onFault(request)
    }
  }
}

/** Protocols ask by GET and HEAD, and some by POST; a write is a PUT, or a DELETE. */
function lacks(access: ProtocolRequest['access'], method: string): boolean {
  if (method === 'OPTIONS') return false
  if (access === 'none') return true
  return access === 'read' && !isRead(method) && method !== 'POST'
}

const NOBODYS: Reply = {
  status: 404,
  headers: { 'content-type': 'text/plain' },
  body: 'No build tool asks for this. recue connect TOOL says what to set in a tool.\n',
}

/** UNIMPLEMENTED, in the words of gRPC, so that the tool shows what is wrong. */
const NO_GRPC: Reply = {
  status: 200,
  headers: {
    'content-type': 'application/grpc',
    'grpc-status': '12',
    'grpc-message': 'This address of recue serve speaks HTTP alone; gRPC has another, by --grpc.',
  },
}

function nobodys(contentType: string | undefined): Reply {
  return contentType?.startsWith('application/grpc') ? NO_GRPC : NOBODYS
}
