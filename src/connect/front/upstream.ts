import {
  Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { request as httpsRequest, Agent as TlsAgent } from 'node:https'
import { systemCode } from '../../errors.ts'
import type { ReplyBody } from '../../server/protocol.ts'
import { authorizationOf, isTls, requestOptionsOf, type ServerAddress } from '../server-address.ts'
import { spooled } from './spool.ts'

export interface Question {
  readonly method: string
  /** With the query, as it is sent. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Undefined: none is sent. */
  readonly body: AsyncIterable<Uint8Array> | undefined
  /** Aborted: it is no longer worth waiting for the beginning of an answer. */
  readonly signal: AbortSignal
}

/** An answer that was received whole. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: ReplyBody
}

/** What a network or a server did, in a few words: the caller's client hears of a miss. */
export class UpstreamFault extends Error {}

export interface Upstream extends Disposable {
  /** Throws `UpstreamFault`, or what reading the question's body throws. The body is read to its end whatever happens. */
  ask(question: Question): Promise<Answer>
}

export interface UpstreamOptions {
  /** For a connection, TLS included. */
  readonly connectMs: number
  /** Until an answer begins, and between two pieces of it. */
  readonly idleMs: number
}

/** Fewer than any server allows for one client, more than a tool has under way. */
const MOST_CONNECTIONS = 128
/** Shorter than the server holds an idle connection, so that none is used that is just being closed. */
const KEEP_ALIVE_MS = 15_000
/** From here on a server is asked first whether it wants the body: one that refuses it would else cut the connection. */
const ASKED_FIRST_BYTES = 256 << 10
const CONTINUE_MS = 1_000

/** Connections to one server, kept open between requests. */
export function openUpstream(address: ServerAddress, options: UpstreamOptions): Upstream {
  const settings = { keepAlive: true, maxSockets: MOST_CONNECTIONS, timeout: KEEP_ALIVE_MS }
  const agent = isTls(address) ? new TlsAgent(settings) : new Agent(settings)
  const send = isTls(address) ? httpsRequest : httpRequest
  const asked = (question: Question) => {
    const { method, path } = question
    const headers = { ...passedOn(question.headers), ...authorizationOf(address), ...expectationOf(question) }
    return exchange(send({ ...requestOptionsOf(address), agent, method, path, headers }), question, options)
  }
  return {
    async ask(question) {
      try {
        return await asked(question)
      } catch (error) {
        // A connection that the server closed while nothing was on it: no fault, and nothing was sent that cannot be sent again.
        if (question.body !== undefined || !(error instanceof StaleConnection)) throw error
        return asked(question)
      }
    },
    [Symbol.dispose]: () => agent.destroy(),
  }
}

class StaleConnection extends UpstreamFault {}

async function exchange(request: ClientRequest, question: Question, options: UpstreamOptions): Promise<Answer> {
  const watch = watched(request, options)
  const abort = () => watch.fail('another request found that it does not answer')
  question.signal.addEventListener('abort', abort, { once: true })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', (error) => reject(watch.fault ?? faultOf(request, error)))
    request.once('close', () => reject(watch.fault ?? new UpstreamFault('it closed the connection')))
  })
  // Whoever sends a body hears of it only after the body.
  answer.catch(() => undefined)
  try {
    if (question.body === undefined) request.end()
    else await sendBody(request, question.body, answer, watch)
    const response = await answer
    question.signal.removeEventListener('abort', abort)
    const body = question.method === 'HEAD' ? unsent(response) : await spooled(piecesOf(response, watch))
    return { status: response.statusCode ?? 0, headers: handedBack(response.headers), body }
  } finally {
    question.signal.removeEventListener('abort', abort)
    watch.end()
  }
}

/** All of the body is taken in, also where nobody wants it any more: the client hears an answer only then. */
async function sendBody(
  request: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  answer: Promise<IncomingMessage>,
  watch: Watch,
): Promise<void> {
  let isWanted = true
  let drained = Promise.withResolvers<void>()
  const over = () => {
    isWanted = false
    drained.resolve()
  }
  answer.then(over, over)
  request.on('drain', () => drained.resolve())
  try {
    if (request.hasHeader('expect')) await asksForBody(request, drained.promise)
    for await (const chunk of body) {
      watch.touch()
      if (!isWanted) continue
      drained = Promise.withResolvers()
      if (!request.write(chunk)) await drained.promise
    }
  } catch (error) {
    request.destroy()
    throw error
  }
  watch.touch()
  if (isWanted) request.end()
}

/** Until the server asks for the body or answers without it. What stands between may not know how to ask. */
function asksForBody(request: ClientRequest, over: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, CONTINUE_MS)
  request.once('continue', resolve)
  void over.then(resolve)
  request.flushHeaders()
  return promise.finally(() => clearTimeout(timer))
}

async function* piecesOf(response: IncomingMessage, watch: Watch): AsyncGenerator<Uint8Array> {
  const announced = response.headers['content-length']
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      watch.touch()
      bytes += chunk.length
      yield chunk
    }
  } catch (error) {
    throw watch.fault ?? new UpstreamFault(`the answer broke off (${systemCode(error) ?? 'cut'})`)
  }
  const isWhole = response.complete && (announced === undefined || Number(announced) === bytes)
  if (!isWhole) throw watch.fault ?? new UpstreamFault('the answer broke off')
}

/** What an answer to HEAD says of its body, which does not come. */
function unsent({ headers }: IncomingMessage): ReplyBody {
  const bytes = { async *[Symbol.asyncIterator]() {}, async [Symbol.asyncDispose]() {} }
  return { bytes, sizeBytes: Number(headers['content-length'] ?? 0) }
}

/** Ends a request on which nothing moves. */
interface Watch {
  readonly fault: UpstreamFault | undefined
  touch(): void
  fail(why: string): void
  end(): void
}

function watched(request: ClientRequest, { connectMs, idleMs }: UpstreamOptions): Watch {
  let fault: UpstreamFault | undefined
  const fail = (why: string) => {
    fault ??= new UpstreamFault(why)
    request.destroy(fault)
  }
  const connect = patience(connectMs, () => fail(`no connection within ${connectMs / 1000} s`))
  const idle = patience(idleMs, () => fail(`nothing came for ${idleMs / 1000} s`))
  const connected = () => connect.end()
  request.once('socket', (socket) => {
    if (!socket.connecting) return connected()
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', connected)
  })
  // Where a runtime does not tell of the connection, an answer does.
  request.once('response', connected)
  return {
    get fault() {
      return fault
    },
    touch: idle.renew,
    fail,
    end() {
      connect.end()
      idle.end()
    },
  }
}

const SECOND_LOOK_MS = 100

/**
 * Calls `lost` when `ms` have passed and what came meanwhile has been looked at: where this process itself stood still, on a
 * machine that is busy building, timers are due before what has long been there is read.
 */
function patience(ms: number, lost: () => void): { renew(): void; end(): void } {
  let second: NodeJS.Timeout | undefined
  const first = setTimeout(() => {
    second = setTimeout(lost, SECOND_LOOK_MS)
  }, ms)
  return {
    renew() {
      clearTimeout(second)
      first.refresh()
    },
    end() {
      clearTimeout(first)
      clearTimeout(second)
    },
  }
}

function faultOf(request: ClientRequest, error: Error): UpstreamFault {
  const code = systemCode(error) ?? error.message
  return request.reusedSocket && /^(ECONNRESET|EPIPE)$/.test(code) ? new StaleConnection(code) : new UpstreamFault(code)
}

/** They concern one connection and not what is asked (RFC 9110, 7.6.1); the names are the server's own business. */
const OF_ONE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

function expectationOf({ headers, body }: Question): Record<string, string> {
  const isLarge = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) >= ASKED_FIRST_BYTES
  return body !== undefined && isLarge ? { expect: '100-continue' } : {}
}

function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  const host = headers.host ?? headers[':authority']
  // What the server hands out as addresses of its own is then an address of the front.
  const forwarded = host === undefined ? {} : { 'x-forwarded-host': String(host), 'x-forwarded-proto': 'http' }
  return { ...handedBack(headers), ...forwarded }
}

function handedBack(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      OF_ONE_CONNECTION.has(name) || name.startsWith(':') || value === undefined ? [] : [[name, String(value)]],
    ),
  )
}
