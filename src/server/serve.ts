import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Gate } from './access.ts'
import { actionsArchives } from './actions-cache/archives.ts'
import { actionsCache } from './actions-cache/cache-service.ts'
import { GREETING_PATH, greeting } from './greeting.ts'
import { type HttpListener, type ListenAddress, listenHttp } from './http-listener.ts'
import { sendReply } from './http-reply.ts'
import { bodyOf, type RequestBody } from './http-request.ts'
import { mise } from './mise/mise.ts'
import { isRead, type Protocol, type ProtocolRequest, type Reply, type Served } from './protocol.ts'
import { bazelAc, bazelCas } from './protocols/bazel-http.ts'
import { ccache } from './protocols/ccache.ts'
import { go } from './protocols/go.ts'
import { gradle } from './protocols/gradle.ts'
import { nx } from './protocols/nx.ts'
import { turborepo } from './protocols/turborepo.ts'
import { routeOf } from './router.ts'

/** A line each. Well-known paths stay where their tools look for them; the others are mounted by name. */
export const PROTOCOLS: readonly Protocol[] = [
  turborepo,
  nx,
  bazelAc,
  bazelCas,
  gradle,
  ccache,
  go,
  actionsCache,
  actionsArchives,
  mise,
]

export interface ServeOptions {
  readonly http: ListenAddress
  readonly gate: Gate
  /** How long what is under way may take after the end was asked for. */
  readonly graceMs?: number
  /** Told of each request when it is over. */
  readonly onRequest?: (entry: AccessEntry) => void
  /** Told of what failed while a client was told of a miss. */
  readonly onFault?: (fault: { readonly protocol: string; readonly error: unknown }) => void
}

/** A line of the access log. */
export interface AccessEntry {
  readonly protocol: string
  readonly method: string
  readonly path: string
  readonly instance: string
  readonly status: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly durationMs: number
}

/** Dispose of it to end: no new work, what is under way finishes within the grace period. */
export interface RunningServer extends AsyncDisposable {
  readonly url: string
}

const GRACE_MS = 10_000
/** What nginx made usual in access logs for a client that went away before it was answered. */
const CLIENT_GONE = 499

/** Starts to serve; done when the address is taken. Throws `usage` when it cannot be had. */
export async function serve(served: Served, options: ServeOptions): Promise<RunningServer> {
  const server = new CacheServer(served, options)
  const listener = await listenHttp(options.http, (...args) => server.take(...args))
  server.isReady = true
  return {
    url: listener.url,
    async [Symbol.asyncDispose]() {
      await server.end(listener, options.graceMs ?? GRACE_MS)
    },
  }
}

/** What came of a request, before it is sent. */
interface Answered {
  readonly reply: Reply
  readonly protocol: string
  readonly instance: string
}

class CacheServer {
  isReady = false
  readonly #served: Served
  readonly #options: ServeOptions

  constructor(served: Served, options: ServeOptions) {
    this.#served = served
    this.#options = options
  }

  take(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    void this.#handle(request, response, expectsContinue).catch(() => response.destroy())
  }

  async end(listener: HttpListener, graceMs: number): Promise<void> {
    this.isReady = false
    await listener.close(graceMs)
  }

  async #handle(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): Promise<void> {
    const start = performance.now()
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new Error('the client has gone'))
    })
    response.on('error', () => undefined)
    request.on('error', () => undefined)
    const body = bodyOf(request, response, expectsContinue)
    let receivedBytes = 0
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of body.bytes) {
        receivedBytes += chunk.length
        yield chunk
      }
    }
    const url = new URL(request.url ?? '/', 'http://localhost')
    const read = { bytes: { [Symbol.asyncIterator]: counted }, contentLength: body.contentLength }
    const answered = await this.#answer(request, url, read, gone.signal)
    const isGone = gone.signal.aborted
    const sentBytes = isGone
      ? 0
      : await this.#send(response, answered.reply, { body, isHead: request.method === 'HEAD' })
    this.#options.onRequest?.({
      ...{ protocol: answered.protocol, instance: answered.instance, method: request.method ?? '', path: url.pathname },
      ...{ status: isGone ? CLIENT_GONE : answered.reply.status, receivedBytes, sentBytes },
      durationMs: performance.now() - start,
    })
  }

  async #send(
    response: ServerResponse,
    reply: Reply,
    { body, isHead }: { body: RequestBody; isHead: boolean },
  ): Promise<number> {
    const keepAlive = this.isReady && (await body.drain())
    return sendReply(response, reply, { isHead, keepAlive })
  }

  async #answer(
    { method = 'GET', headers }: IncomingMessage,
    url: URL,
    { bytes, contentLength }: { bytes: AsyncIterable<Uint8Array>; contentLength: number | undefined },
    signal: AbortSignal,
  ): Promise<Answered> {
    const own = this.#own(method, url.pathname, headers.authorization)
    if (own !== undefined) return { reply: own, protocol: 'recue', instance: '' }
    const route = routeOf(PROTOCOLS, url.pathname)
    if (route === undefined) return { reply: NOBODYS, protocol: '', instance: '' }
    const { protocol, instance, rest: path } = route
    const access = this.#options.gate.accessOf(headers.authorization)
    const request = {
      method,
      path,
      query: url.searchParams,
      headers,
      contentLength,
      body: bytes,
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
    if (path === GREETING_PATH) return greeting(this.#options.gate.accessOf(authorization))
    if (path === '/readyz') return this.isReady ? { status: 200, body: 'ready\n' } : { status: 503, body: 'ending\n' }
    return undefined
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

const NOBODYS: Reply = { status: 404, headers: { 'content-type': 'text/plain' }, body: 'No protocol lives here.\n' }
