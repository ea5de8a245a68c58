import { opened } from './door.ts'
import { shown, type Verdict } from './findings.ts'
import { HTTP_PROTOCOLS } from './http-protocols.ts'
import { AnswerReader, requestBytes } from './http1-client.ts'
import { mutated } from './odd.ts'
import type { Random } from './random.ts'
import type { Server } from './servers.ts'

/** Bytes for a connection, and the path of what they must not have kept. */
interface Sent {
  readonly bytes: Buffer
  /** No answer may say that it is done. */
  readonly isRefused?: boolean
  readonly mayNotBe?: string
  /** That many requests at the beginning are right, and are told that nothing is there. */
  readonly right?: number
}

const KEY = '/v1/cache/'

/** HTTP/1.1 that is none, one connection each: answered in HTTP's words, or closed; and no part of it taken for a request of its own. */
export async function malformedHttp1(
  server: Server,
  random: Random,
  isThere: (path: string) => Promise<boolean>,
): Promise<Verdict> {
  const authorization =
    server.headers.authorization === undefined ? '' : `authorization: ${server.headers.authorization}\r\n`
  const sent = random.pick([requestLine, header, length, chunks, pipeline, mutation, lyingLength, smuggling])(
    random,
    authorization,
  )
  const socket = await opened(server.http)
  const reader = new AnswerReader(socket)
  if (random.chance(0.2)) {
    const at = random.below(sent.bytes.length)
    socket.write(sent.bytes.subarray(0, at))
    await new Promise((resolve) => setImmediate(resolve))
    socket.end(sent.bytes.subarray(at))
  } else socket.end(sent.bytes)
  const wrong = await wrongAnswers(reader, sent)
  socket.destroy()
  // Those who say so are answered in HTTP/2.
  if (wrong !== undefined && !sent.bytes.toString('latin1').startsWith('PRI')) return `${wrong} to ${shown(sent.bytes)}`
  if (sent.mayNotBe !== undefined && (await isThere(sent.mayNotBe)))
    return `${sent.mayNotBe} was kept, by ${shown(sent.bytes)}`
  return undefined
}

async function wrongAnswers(reader: AnswerReader, { isRefused, right = 0 }: Sent): Promise<Verdict> {
  const statuses: number[] = []
  for (let answered = await reader.next(); answered !== undefined; answered = await reader.next()) {
    statuses.push(answered.status)
    if (answered.status >= 500 && answered.status !== 501 && answered.status !== 505)
      return `a fault, ${answered.status},`
    if (isRefused && answered.status < 300) return `${answered.status}`
  }
  if (reader.rest.length > 0 && !reader.rest.toString('latin1').startsWith('HTTP/1.1 '))
    return `${shown(reader.rest)}, which is no answer,`
  // The connection may end before all are answered; but no refusal may stand where an answer should.
  return statuses.slice(0, right).some((status) => status !== 404)
    ? `${statuses.join()} and not 404 ${right} times`
    : undefined
}

function text(...lines: string[]): Buffer {
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

function requestLine(random: Random): Sent {
  const line = random.pick([
    random.bytes(60).toString('latin1'),
    'GET',
    'GET /healthz',
    'GET /healthz HTTP/9.9',
    'GET /healthz HTTP/1.1 x',
    'GET\t/healthz\tHTTP/1.1',
    'get /healthz HTTP/1.1',
    'GET  /healthz  HTTP/1.1',
    'GET /a b HTTP/1.1',
    'GET /\u0000 HTTP/1.1',
    'GET http://x/healthz HTTP/1.1',
    'GET healthz HTTP/1.1',
    'GET ../../x HTTP/1.1',
    'CONNECT x:80 HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'GET // HTTP/1.1',
    'GET http:// HTTP/1.1',
    `GET /${'a'.repeat(40_000)} HTTP/1.1`,
    `${'A'.repeat(5_000)} / HTTP/1.1`,
    'GET / HTTP/1.1\r',
    ' GET / HTTP/1.1',
    '\u0000GET / HTTP/1.1',
    'GET / HTTP/1',
    'GET / HTTP/1.',
    'GET / http/1.1',
    'GET / HTTP/2.0',
    'PRI * HTTP/1.1',
    'GET /%00 HTTP/1.1',
    'GET :// HTTP/1.1',
    'GET http://[::1 HTTP/1.1',
    'GET //[ HTTP/1.1',
    'GET http://x:99999/ HTTP/1.1',
  ])
  const end = random.pick(['\r\n', '\r\n', '\n', '\r', ''])
  return { bytes: Buffer.from(`${line}${end}host: x${end}${end}`, 'latin1') }
}

function header(random: Random, authorization: string): Sent {
  const line = random.pick([
    ' folded: yes',
    'x: a\r\n b',
    'x: a\r\n\tb',
    'no colon',
    'x : y',
    ': y',
    'x\u0000: y',
    'x: y\u0000',
    'x: y\rz: w',
    'x: y\nz: w',
    'é: y',
    'x: é\u00ff',
    `x: ${'y'.repeat(40_000)}`,
    `${'x'.repeat(40_000)}: y`,
    Array.from({ length: 3_000 }, (_, i) => `x-${i}: y`).join('\r\n'),
    'host: y',
    'host: ',
    'connection: close, keep-alive, x',
    'upgrade: websocket\r\nconnection: upgrade',
    'upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAA',
    'expect: 200-maybe',
    'expect: 100-continue\r\nexpect: 100-continue',
    'content-type: application/grpc',
    'te: trailers, gzip;q=0',
    'trailer: content-length',
    'range: bytes=-',
    'x\u007f: y',
    '"x": y',
    'x: \u0001\u0002',
    '__proto__: x',
    'constructor: x',
    'cookie: a\r\ncookie: b',
  ])
  const body = random.bytes(20)
  return {
    bytes: Buffer.concat([
      text(
        `PUT ${KEY}h-${random.hex(12)} HTTP/1.1`,
        'host: x',
        line,
        `${authorization}content-length: ${body.length}`,
        '',
        '',
      ),
      body,
    ]),
  }
}

function length(random: Random, authorization: string): Sent {
  const name = `${KEY}l-${random.hex(12)}`
  const lines = random.pick([
    'content-length: 5\r\ncontent-length: 6',
    'content-length: 5, 6',
    'content-length: -1',
    'content-length: +5',
    'content-length: 0x5',
    'content-length: 5 5',
    'content-length: 5;',
    'content-length: ',
    'content-length: 99999999999999999999999',
    'content-length: 18446744073709551621',
    'content-length: 5.0',
    'content-length: 1e1',
    'content-length: five',
    'content-length: 5\u0000',
    'content-length:\u000b5',
    'content-length: ٥',
  ])
  return {
    bytes: text(`PUT ${name} HTTP/1.1`, `host: x\r\n${authorization}${lines}`, '', 'abcdefgh'),
    isRefused: true,
    mayNotBe: name,
  }
}

function chunks(random: Random, authorization: string): Sent {
  const name = `${KEY}c-${random.hex(12)}`
  const body = random.pick([
    'g\r\nabc\r\n0\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    '3\r\nabcde\r\n0\r\n\r\n',
    '3\r\nab\r\n0\r\n\r\n',
    'ffffffffffffffffff\r\nabc\r\n0\r\n\r\n',
    '7fffffffffffffff\r\nabc',
    '3\r\nabc\r\n',
    '3\r\nabc',
    '3',
    '',
    '\r\n',
    '0x3\r\nabc\r\n0\r\n\r\n',
    '3 \u0000\r\nabc\r\n0\r\n\r\n',
    '+3\r\nabc\r\n0\r\n\r\n',
    '3\r\nabcX0\r\n\r\n',
    '3\r\nabc\r\n0',
    '3\r\nabc\r\n0\r\nx',
    '3\r\nabc\r\n0\r\nno colon\r\n\r\n',
    ' 3\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n00\r',
    `3;${'x'.repeat(60_000)}\r\nabc\r\n`,
  ])
  return {
    bytes: text(`PUT ${name} HTTP/1.1`, `host: x\r\n${authorization}transfer-encoding: chunked`, '', body),
    isRefused: true,
    mayNotBe: name,
  }
}

/** Right ones, of which each is answered; then something that is not. */
function pipeline(random: Random, authorization: string): Sent {
  const right = 1 + random.below(30)
  const one = () => text(`GET ${KEY}none-${random.hex(6)} HTTP/1.1`, `host: x\r\n${authorization}`, '')
  const broken = random.pick([
    random.bytes(100),
    Buffer.from('GET / HTTP/1.1\r\nno colon\r\n\r\n'),
    Buffer.from('\r\n\r\n\r\n'),
    Buffer.from('GET'),
    Buffer.from('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\nshort'),
  ])
  return { bytes: Buffer.concat([...Array.from({ length: right }, one), broken]), right }
}

function mutation(random: Random, authorization: string): Sent {
  const protocol = random.pick(HTTP_PROTOCOLS)
  const headers = { ...protocol.headers, ...(authorization !== '' && { authorization: authorization.slice(15, -2) }) }
  const bytes = requestBytes({
    method: random.pick(protocol.methods.filter((method) => method !== 'HEAD')),
    target: `${protocol.prefix}/${protocol.key(random)}`,
    headers,
    body: random.bytes(60),
  })
  return { bytes: mutated(random, bytes) }
}

/** More is announced than comes. */
function lyingLength(random: Random, authorization: string): Sent {
  const protocol = random.pick(HTTP_PROTOCOLS.filter(({ isOpaque }) => isOpaque))
  const name = `${protocol.prefix}/${protocol.key(random)}`
  const body = random.bytes(100)
  const lines = Object.entries(protocol.headers ?? {}).map(([header, value]) => `${header}: ${value}\r\n`)
  const announced = body.length + random.pick([1, 10, 1_000_000, 2 ** 40])
  // Rush is told that all went well whatever happens, and Gradle's, ccache's and Turborepo's clients likewise: what counts is what is kept.
  return {
    bytes: Buffer.concat([
      text(`PUT ${name} HTTP/1.1`, `host: x\r\n${authorization}${lines.join('')}content-length: ${announced}`, '', ''),
      body,
    ]),
    mayNotBe: name,
  }
}

/** Two readings of where a request ends: in neither may what follows it be a request. */
function smuggling(random: Random, authorization: string): Sent {
  const name = `${KEY}s-${random.hex(12)}`
  const hidden = `PUT ${name} HTTP/1.1\r\nhost: x\r\n${authorization}content-length: 1\r\n\r\nx`
  const body = `0\r\n\r\n${hidden}`
  const whole = `content-length: ${body.length}`
  const lines = random.pick([
    `${whole}\r\ntransfer-encoding: chunked`,
    `transfer-encoding: chunked\r\n${whole}`,
    `${whole}\r\ntransfer-encoding: x, chunked`,
    `${whole}\r\ntransfer-encoding : chunked`,
    `${whole}\r\ntransfer-encoding: chunked, identity`,
    `${whole}\r\ntransfer-encoding: identity`,
    `${whole}\r\ntransfer-encoding:\u000bchunked`,
    `${whole}\r\n transfer-encoding: chunked`,
    `${whole}\r\ntransfer-encoding: xchunked`,
    `${whole}\r\nTransfer_Encoding: chunked`,
    `${whole}\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity`,
    `content-length: 5\r\n${whole}`,
    `${whole}\r\ncontent-length: 5`,
    `${whole}\r\ncontent-length: 0`,
    `content-length: 0,${body.length}`,
    `${whole}\ntransfer-encoding: chunked`,
    `x: y\rcontent-length: 0\r\n${whole}`,
  ])
  return {
    bytes: text(`PUT ${KEY}o-${random.hex(12)} HTTP/1.1`, `host: x\r\n${authorization}${lines}`, '', body),
    mayNotBe: name,
  }
}
