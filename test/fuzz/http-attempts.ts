import { createHash } from 'node:crypto'
import { shown, type Verdict } from './findings.ts'
import { BARE_REFUSALS, HTTP_PROTOCOLS, type HttpProtocol, protocolAt } from './http-protocols.ts'
import { type Answered, type Asked, Http1Client } from './http1-client.ts'
import { digestOf, mutated, ODD_SIZES, oddAuthorization, oddHash, oddJson, oddPath, oddXml } from './odd.ts'
import type { Random } from './random.ts'
import { READ_TOKEN, type Server, WRITE_TOKEN } from './servers.ts'

/** Connections that are used again and again, one for each that asks at once. */
export class HttpPool implements Disposable {
  readonly #idle = new Map<Server, Http1Client[]>()

  async with<T>(
    server: Server,
    ask: (client: (asked: Asked) => Promise<Answered | undefined>) => Promise<T>,
  ): Promise<T> {
    const idle = this.#idle.get(server) ?? []
    this.#idle.set(server, idle)
    const client = idle.pop() ?? new Http1Client(server.http)
    try {
      return await ask((asked) => client.ask({ ...asked, headers: { ...server.headers, ...asked.headers } }))
    } finally {
      idle.push(client)
    }
  }

  [Symbol.dispose](): void {
    for (const client of [...this.#idle.values()].flat()) client[Symbol.dispose]()
  }
}

type Ask = (asked: Asked) => Promise<Answered | undefined>

/** What has no place in a request's first line ends the connection before a protocol is asked. */
const NOT_HTTP = /[^\x21-\x7e]/
const HTTPS_OWN: readonly number[] = [400, 431]
const LONGEST_HEADER = 16_000

/** Whether the answer is one that this protocol's client knows how to take. */
export function wrongIn(asked: Asked, answered: Answered | undefined): Verdict {
  const isHttp = !NOT_HTTP.test(asked.target) && asked.target.length < LONGEST_HEADER
  if (answered === undefined)
    return isHttp ? `no answer to ${asked.method} ${shown(asked.target)} ${shown(asked.body ?? '')}` : undefined
  if (!isHttp && HTTPS_OWN.includes(answered.status)) return undefined
  const protocol = protocolAt(asked.target)
  if (protocol === undefined)
    return answered.status === 404 || asked.target.startsWith('/healthz') ? undefined : told(asked, answered, 'nobody')
  if (!protocol.statuses.includes(answered.status) && answered.status !== 404)
    return told(asked, answered, protocol.name)
  return isRefusalOf(protocol, asked, answered) ? undefined : told(asked, answered, protocol.name)
}

function isRefusalOf({ isOwnRefusal }: HttpProtocol, { method }: Asked, answered: Answered): boolean {
  if (
    isOwnRefusal === undefined ||
    answered.status < 400 ||
    BARE_REFUSALS.includes(answered.status) ||
    method === 'HEAD'
  )
    return true
  try {
    return isOwnRefusal(answered)
  } catch {
    return false
  }
}

function told({ method, target, headers, body }: Asked, { status, body: said }: Answered, by: string): string {
  return `${by} told ${status} ${shown(said)} to ${method} ${shown(target)} ${JSON.stringify(headers ?? {}).slice(0, 300)} ${shown(body ?? '')}`
}

const INSTANCES = ['', '', '', '/team', '/a.b-c_d', '/%2e%2e', '/..', '/%00', '/é', '/team/team', `/${'i'.repeat(101)}`]

/** A key of any form, under any protocol: what was taken is given back as it was. */
export async function oddKey(ask: Ask, random: Random): Promise<Verdict> {
  const protocol = random.pick(HTTP_PROTOCOLS)
  const { prefix, methods, headers = {} } = protocol
  const key = random.chance(0.1) ? protocol.key(random) : oddPath(random)
  const method = random.pick(
    random.chance(0.95) ? methods : ['TRACE', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND', 'MKCOL', 'LOCK', 'SEARCH'],
  )
  const target = `${random.pick(INSTANCES)}${prefix}${random.pick(['/', '/', '/', '//', ''])}${key}`
  const hasBody = method !== 'GET' && method !== 'HEAD' && random.chance(0.9)
  const asked = { method, target, headers, ...(hasBody && { body: random.bytes(200) }) }
  const answered = await ask(asked)
  const wrong = wrongIn(asked, answered)
  if (wrong !== undefined) return wrong
  const owner = protocolAt(target)
  const isKept = method === 'PUT' && hasBody && owner?.isOpaque && answered?.status === owner.kept
  if (!isKept || random.chance(0.5)) return undefined
  const read = { method: 'GET', target, headers }
  const found = await ask(read)
  return found?.status === 200 && found.body.equals(asked.body as Buffer)
    ? undefined
    : `what was taken is not given back: ${found && told(read, found, owner.name)} ${shown(target)}`
}

/** Bytes under the name of others, and names that are none: refused, and not there. */
export async function wrongName(ask: Ask, random: Random): Promise<Verdict> {
  const body = random.bytes(300)
  const { hash, sizeBytes } = digestOf(body)
  const other = random.hex(64)
  const mise = HTTP_PROTOCOLS.find(({ name }) => name === 'mise') as HttpProtocol
  const miseHeaders = mise.headers as Record<string, string>
  const oddSize = random.pick(ODD_SIZES)
  const [target, headers] = random.pick<[string, Record<string, string>]>([
    [`/cas/${other}`, {}],
    [`/cas/${hash.toUpperCase()}`, {}],
    [`/cas/${encodeURI(oddHash(random))}`, {}],
    [`/ac/${encodeURI(oddHash(random))}`, {}],
    [`/go/${hash.toUpperCase()}`, { 'recue-time': '2026-01-02T03:04:05Z' }],
    [
      `/go/${hash}`,
      { 'recue-time': random.pick(['', 'now', '2026-01-02', '2026-01-02T03:04:05+01:00', 'x'.repeat(2_000)]) },
    ],
    [`/v1/blobs/sha256/${other}/${sizeBytes}`, miseHeaders],
    [`/v1/blobs/blake3/${other}/${sizeBytes}`, miseHeaders],
    [`/v1/blobs/sha256/${hash}/${sizeBytes + 1 + random.below(5)}`, miseHeaders],
    [`/v1/blobs/sha256/${hash.toUpperCase()}/${sizeBytes}`, miseHeaders],
    [`/v1/blobs/sha256/${hash}/${encodeURIComponent(oddSize)}`, miseHeaders],
    [`/v1/blobs/md5/${hash}/${sizeBytes}`, miseHeaders],
    [`/v1/blobs/sha256/${encodeURI(oddHash(random))}/${sizeBytes}`, miseHeaders],
  ])
  // No digest in lower case and no letter at all is the same in upper case; it happens to none in a lifetime.
  const put = { method: 'PUT', target, headers, body }
  const answered = await ask(put)
  const wrong = wrongIn(put, answered)
  if (wrong !== undefined) return wrong
  if (answered !== undefined && answered.status < 400) return told(put, answered, 'a wrong name')
  const get = { method: 'GET', target, headers }
  const found = await ask(get)
  return found !== undefined && found.status < 400 ? told(get, found, 'after a refusal') : undefined
}

const SHA256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Bodies that are nearly what a protocol wants. */
export async function garbage(ask: Ask, random: Random): Promise<Verdict> {
  const asked = await random.pick([
    twirp,
    blockList,
    turborepoQuery,
    miseQuery,
    miseResult,
    miseTree,
    webdav,
    ranges,
    bazelResult,
  ])(ask, random)
  return typeof asked === 'string' || asked === undefined ? asked : wrongIn(asked, await ask(asked))
}

type Made = Promise<Asked | Verdict>

const TWIRP = '/twirp/github.actions.results.api.v1.CacheService'

async function twirp(_ask: Ask, random: Random): Made {
  const valid = { key: random.hex(8), version: random.hex(8), restoreKeys: [random.hex(2)], sizeBytes: '5', scope: 'x' }
  const type = random.pick([
    'application/json',
    'application/json; charset=utf-8',
    'application/protobuf',
    'text/plain',
    '',
    'APPLICATION/JSON',
    'application/x-protobuf',
  ])
  const large = random.chance(0.02) ? Buffer.alloc(random.pick([65_000, 66_000, 300_000]), '[') : undefined
  const body =
    large ??
    (type.includes('proto') ? mutated(random, Buffer.from(`\n\u0003abc\u0012\u0004abcd`)) : oddJson(random, valid))
  const authorization = random.chance(0.7)
    ? {}
    : { authorization: random.chance(0.5) ? `Bearer ${WRITE_TOKEN}` : oddAuthorization(random) }
  const method = random.pick([
    'CreateCacheEntry',
    'FinalizeCacheEntryUpload',
    'GetCacheEntryDownloadURL',
    'Nothing',
    '__proto__',
    'toString',
  ])
  return {
    method: 'POST',
    target: `${TWIRP}/${method}`,
    headers: {
      'content-type': type,
      ...authorization,
      'x-forwarded-host': random.text(9),
    },
    body,
  }
}

/** Where an archive may be uploaded to. */
async function uploadAddress(ask: Ask, random: Random): Promise<string | undefined> {
  const body = Buffer.from(JSON.stringify({ key: random.hex(16), version: random.hex(16) }))
  const answered = await ask({
    method: 'POST',
    target: `${TWIRP}/CreateCacheEntry`,
    headers: { 'content-type': 'application/json' },
    body,
  })
  const { signed_upload_url: url } = JSON.parse(answered?.body.toString() ?? '{}') as { signed_upload_url?: string }
  if (url === undefined) return undefined
  const { pathname, search } = new URL(url)
  return `${pathname}${search}`
}

async function blockList(ask: Ask, random: Random): Made {
  const address = await uploadAddress(ask, random)
  if (address === undefined) return 'no address was given out'
  if (random.chance(0.3)) {
    const at = 12 + random.below(address.length - 12)
    const target = `${address.slice(0, at)}${random.pick(['A', '%00', '', '/', '&sig=', '.', '_'])}${address.slice(at + 1)}`
    return { method: random.pick(['PUT', 'GET']), target, body: random.bytes(50) }
  }
  const query = random.pick([
    '&comp=blocklist',
    '&comp=blocklist',
    '&comp=block&blockid=',
    `&comp=block&blockid=${'a'.repeat(random.below(300))}`,
    '&comp=x',
    '&comp=',
    '&comp=block&comp=blocklist',
  ])
  return {
    method: random.pick(['PUT', 'PUT', 'PUT', 'GET', 'DELETE', 'POST']),
    target: `${address}${query}`,
    body: oddXml(random),
  }
}

async function turborepoQuery(_ask: Ask, random: Random): Made {
  const team = random.pick([
    '',
    '?slug=',
    '?teamId=../..',
    `?slug=${'x'.repeat(1_500)}`,
    '?slug=a&slug=b',
    '?teamId=%00',
  ])
  const body = oddJson(random, {
    hashes: random.list(5, () => random.pick([random.hex(16), '__proto__', '../..', ''])),
  })
  if (random.chance(0.7))
    return { method: 'POST', target: `/v8/artifacts${random.pick(['', '/', '/events'])}${team}`, body }
  const value = random.text(40)
  const headers = {
    [random.pick(['x-artifact-tag', 'x-artifact-duration', 'x-artifact-sha'])]: random.pick([
      value,
      '1e999',
      '-5',
      'NaN',
      'x'.repeat(9_000),
    ]),
  }
  const put = { method: 'PUT', target: `/v8/artifacts/${random.hex(16)}`, headers, body }
  const answered = await _ask(put)
  if (answered?.status !== 202) return wrongIn(put, answered) ?? told(put, answered as Answered, 'turborepo')
  const found = await _ask({ method: 'GET', target: put.target })
  return found?.status === 200 && found.body.equals(body)
    ? undefined
    : `what was taken is not given back: ${JSON.stringify(headers)}`
}

const MISE = { 'mise-cache-protocol': '1', 'mise-cache-namespace': 'fuzz', 'if-none-match': '*' }

async function miseQuery(_ask: Ask, random: Random): Made {
  const digest = {
    algorithm: random.pick(['sha256', 'blake3', 'md5']),
    hash: random.pick([random.hex(64), oddHash(random)]),
    size: random.pick([5, -1, 1.5, 2 ** 53, 1e300]),
  }
  const body = oddJson(random, { digests: random.list(4, () => digest) })
  const headers = {
    ...MISE,
    ...(random.chance(0.1) && { 'mise-cache-namespace': random.pick(['', ' ', 'a b', 'é', 'x'.repeat(300)]) }),
    ...(random.chance(0.1) && { 'mise-cache-protocol': random.pick(['0', '2', '']) }),
  }
  return { method: 'POST', target: '/v1/blobs:missing', headers, body }
}

async function keptByMise(ask: Ask, body: Uint8Array) {
  const digest = { algorithm: 'sha256', hash: SHA256(body), size: body.length }
  await ask({ method: 'PUT', target: `/v1/blobs/sha256/${digest.hash}/${digest.size}`, headers: MISE, body })
  return digest
}

async function miseResult(ask: Ask, random: Random): Made {
  const action = await keptByMise(
    ask,
    random.chance(0.5) ? oddJson(random, { version: 1 }) : Buffer.from('{"version":1}'),
  )
  const body = oddJson(random, {
    version: 1,
    action,
    metadata: random.pick([null, action]),
    output_root: random.pick([null, action]),
  })
  return { method: 'PUT', target: `/v1/action-results/sha256/${action.hash}/${action.size}`, headers: MISE, body }
}

async function miseTree(ask: Ask, random: Random): Made {
  const action = await keptByMise(ask, Buffer.from(`{"version":${random.below(1e6)}}`))
  const file = {
    digest: action,
    executable: random.chance(0.5),
    mode: 420,
    name: random.pick(['a', '..', '../x', '', 'a/b', '\u0000', 'con', 'a\\b']),
  }
  const link = { mode: 511, name: 'l', target: random.pick(['a', '/etc/passwd', '../../x', '', '\u0000']) }
  const root = await keptByMise(ask, oddJson(random, { directories: [], files: [file], symlinks: [link], version: 1 }))
  const body = Buffer.from(JSON.stringify({ version: 1, action, metadata: null, output_root: root }))
  return { method: 'PUT', target: `/v1/action-results/sha256/${action.hash}/${action.size}`, headers: MISE, body }
}

async function webdav(_ask: Ask, random: Random): Made {
  const headers = { depth: random.pick(['0', '1', 'infinity', '-1', '', 'x']), 'content-type': 'application/xml' }
  const target = `/sccache/${random.pick(['', 'a/', '.sccache_check', encodeURI(oddPath(random).replaceAll(/[?#]/g, '')).slice(0, 1_500)])}`
  return {
    method: random.pick(['PROPFIND', 'PROPFIND', 'MKCOL', 'PROPPATCH', 'LOCK', 'MOVE', 'COPY']),
    target,
    headers: { ...headers, destination: 'file:///etc/passwd' },
    body: oddXml(random),
  }
}

async function ranges(ask: Ask, random: Random): Made {
  const address = await uploadAddress(ask, random)
  const range = random.pick([
    'bytes=0-',
    'bytes=-0',
    'bytes=5-2',
    'bytes=99999999999999999999-',
    'bytes=0-0,1-1',
    'bytes=-',
    'x=0-1',
    'bytes=--1',
    `bytes=${'1'.repeat(3_000)}-`,
    'bytes=0x1-2',
    'bytes= 1 - 2',
  ])
  const asked = {
    method: 'GET',
    target: address?.replace('/write/', '/read/') ?? '/',
    headers: { range, 'x-ms-range': range, 'if-match': random.pick(['*', '"x"', '']) },
  }
  if (random.chance(0.3)) return asked
  return {
    method: 'GET',
    target: `/${random.pick(['nx', 'cas', 'gradle', 'ccache'])}/${random.hex(64)}`,
    headers: { range, 'if-range': 'x', 'if-none-match': '*' },
  }
}

async function bazelResult(_ask: Ask, random: Random): Made {
  const valid = Buffer.concat([
    Buffer.from([0x12, 72, 0x0a, 1, 97, 0x12, 67, 0x0a, 64]),
    Buffer.from(random.hex(64)),
    Buffer.from([0x10, 5]),
  ])
  return {
    method: 'PUT',
    target: `/ac/${random.hex(64)}`,
    body: random.chance(0.5) ? mutated(random, valid) : random.bytes(300),
  }
}

/** With no token that may write, nothing is kept, whatever the header looks like. */
export async function withoutToken(ask: Ask, random: Random): Promise<Verdict> {
  const protocol = random.pick(HTTP_PROTOCOLS.filter(({ isOpaque }) => isOpaque))
  const authorization = random.chance(0.2)
    ? random.pick([
        `Bearer ${READ_TOKEN}`,
        `Basic ${Buffer.from(`x:${READ_TOKEN}`).toString('base64')}`,
        `Bearer ${WRITE_TOKEN.slice(0, -1)}`,
        `Bearer ${WRITE_TOKEN}x`,
        `Bearer x ${WRITE_TOKEN}`,
      ])
    : oddAuthorization(random)
  const target = `${protocol.prefix}/${protocol.key(random)}`
  const put = {
    method: random.pick(protocol.name === 'rush' ? ['PUT', 'POST', 'PATCH'] : ['PUT']),
    target,
    headers: { ...protocol.headers, authorization },
    body: random.bytes(50),
  }
  const answered = await ask(put)
  const isGoodWord =
    answered !== undefined && ([401, 403].includes(answered.status) || protocol.statuses.includes(answered.status))
  if (!isGoodWord)
    return answered === undefined ? `no answer to ${shown(authorization)}` : told(put, answered, protocol.name)
  const get = { method: 'GET', target, headers: { ...protocol.headers, authorization: `Bearer ${WRITE_TOKEN}` } }
  const found = await ask(get)
  return found?.status === 404 ? undefined : `kept without a token: ${shown(authorization)} ${found?.status}`
}
