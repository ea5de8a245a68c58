import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { systemCode } from '../errors.ts'
import type { Access } from '../server/access.ts'
import { GREETING_PATH, type Greeting } from '../server/greeting.ts'
import { wholeBody } from '../server/whole-body.ts'
import { authorizationOf, isTls, placeOf, requestOptionsOf, type ServerAddress } from './server-address.ts'

/** What answers at an address. */
export type Greeted =
  | { readonly kind: 'recue'; readonly access: Access; readonly version: string | undefined }
  /** Something answers, and no recue: a proxy, another server, another port. */
  | { readonly kind: 'another'; readonly what: string }
  /** A server of HTTP/2 alone, as a port for gRPC is. */
  | { readonly kind: 'http2' }
  | { readonly kind: 'silent'; readonly afterMs: number }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'tls'; readonly code: string }

const MOST_BYTES = 64 << 10

/** Asks once, for no longer than `withinMs` in all. Never throws for what a network does. */
export async function greet(address: ServerAddress, withinMs: number): Promise<Greeted> {
  const signal = AbortSignal.timeout(withinMs)
  try {
    return await asked(address, signal)
  } catch (error) {
    if (signal.aborted) return { kind: 'silent', afterMs: withinMs }
    return failureOf(address, error, withinMs)
  }
}

async function asked(address: ServerAddress, signal: AbortSignal): Promise<Greeted> {
  const answer = await answered(address, signal)
  const body = await wholeBody(answer, MOST_BYTES)
  const { statusCode: status = 0, headers } = answer
  const said = status === 200 ? greetingIn(body) : undefined
  if (said !== undefined) return { kind: 'recue', access: said.access, version: said.version }
  const by = headers.server === undefined ? '' : ` (${headers.server})`
  const where = headers.location === undefined ? '' : `, sends on to ${headers.location}`
  return { kind: 'another', what: `answers ${status}${by}${where}` }
}

function answered(address: ServerAddress, signal: AbortSignal): Promise<IncomingMessage> {
  const path = `${address.url.pathname.replace(/\/$/, '')}${GREETING_PATH}`
  const ask = isTls(address) ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const headers = { ...authorizationOf(address), connection: 'close' }
    ask({ ...requestOptionsOf(address), path, headers, agent: false, signal }, resolve)
      .once('error', reject)
      .end()
  })
}

function greetingIn(body: Buffer | undefined): Greeting | undefined {
  try {
    const said = JSON.parse(String(body)) as Partial<Greeting>
    const isGreeting = said.server === 'recue' && /^(none|read|write)$/.test(String(said.access))
    return isGreeting ? (said as Greeting) : undefined
  } catch {
    return undefined
  }
}

async function failureOf(address: ServerAddress, error: unknown, withinMs: number): Promise<Greeted> {
  const code = systemCode(error) ?? (error instanceof Error ? error.message : String(error))
  if (/^HPE_|Parse Error|Malformed|InvalidHTTP/i.test(code) || (code === 'ECONNRESET' && !isTls(address))) {
    if (await speaksHttp2(address, withinMs)) return { kind: 'http2' }
    if (/^HPE_|Parse/i.test(code)) return { kind: 'another', what: 'does not speak HTTP' }
  }
  if (isTls(address) && !/^(ECONN|EHOST|ENET|ENOTFOUND|EAI_|ETIMEDOUT)/.test(code)) return { kind: 'tls', code }
  return { kind: 'refused', code }
}

async function speaksHttp2(address: ServerAddress, withinMs: number): Promise<boolean> {
  const { connect } = await import('node:http2')
  const session = connect(placeOf(address))
  try {
    return await new Promise<boolean>((resolve) => {
      session.once('remoteSettings', () => resolve(true)).once('error', () => resolve(false))
      session.once('close', () => resolve(false)).setTimeout(withinMs, () => resolve(false))
    })
  } finally {
    session.destroy()
  }
}

/** What is wrong in one line, and what to do in another; undefined where nothing is. */
export function troubleWith(
  address: ServerAddress,
  greeted: Greeted,
): { readonly what: string; readonly hint: string } | undefined {
  const place = placeOf(address)
  if (greeted.kind === 'recue') {
    if (greeted.access !== 'none') return undefined
    return address.token === undefined
      ? { what: `${place} asks for a token.`, hint: 'Set RECUE_TOKEN, or name a file that holds it with --token-file.' }
      : {
          what: `${place} does not know this token.`,
          hint: 'Its lines are in the file that recue serve got with --tokens.',
        }
  }
  if (greeted.kind === 'another')
    return {
      what: `What stands at ${place} ${greeted.what}, and is no recue.`,
      hint: 'Is a proxy in the way (NO_PROXY), or is this the port of something else?',
    }
  if (greeted.kind === 'http2')
    return { what: `${place} speaks HTTP/2 alone: a port for gRPC.`, hint: "Name the server's HTTP address." }
  if (greeted.kind === 'silent')
    return {
      what: `${place} did not answer within ${greeted.afterMs / 1000} s.`,
      hint: 'Does a firewall swallow what goes there?',
    }
  return greeted.kind === 'tls' ? tlsTrouble(place, greeted.code) : connectTrouble(place, greeted.code)
}

function tlsTrouble(place: string, code: string): { what: string; hint: string } {
  if (/WRONG_VERSION_NUMBER|ERR_SSL_PACKET|EPROTO/.test(code))
    return { what: `${place} does not speak TLS (${code}).`, hint: 'Write http:// instead of https://.' }
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code))
    return {
      what: `${place} asks for a certificate of yours (${code}).`,
      hint: 'Name it with --cert FILE --cert-key FILE.',
    }
  const hint = /ALTNAME/.test(code)
    ? 'Its certificate is for another name: use that name.'
    : /EXPIRED/.test(code)
      ? 'Its certificate has expired.'
      : 'Name the file of whom to trust with --ca FILE.'
  return { what: `${place} shows a certificate that is not trusted (${code}).`, hint }
}

function connectTrouble(place: string, code: string): { what: string; hint: string } {
  const hint =
    code === 'ECONNREFUSED' || code === 'ENOENT'
      ? 'Nothing listens there: start recue serve, or name another address with --server.'
      : /ENOTFOUND|EAI_/.test(code)
        ? 'That name is not known here.'
        : 'Is this its address, and does it speak TLS (https://)?'
  return { what: `${place} cannot be reached (${code}).`, hint }
}
