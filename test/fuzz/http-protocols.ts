import type { Answered } from './http1-client.ts'
import type { Random } from './random.ts'

/** What is needed to attack a tool's protocol over HTTP, and to tell its own words from others. */
export interface HttpProtocol {
  readonly name: string
  readonly prefix: string
  readonly methods: readonly string[]
  /** What its client may be told, whatever it sends, and goes on. A fault of ours is not among them. */
  readonly statuses: readonly number[]
  /** A key of the right form. */
  key(random: Random): string
  readonly headers?: Readonly<Record<string, string>>
  /** What is put under any key can be had by the same. */
  readonly isOpaque?: true
  /** What a PUT is told whose bytes were kept. */
  readonly kept?: number
  /** Whether a refusal has the form that its clients read. */
  readonly isOwnRefusal?: (answered: Answered) => boolean
}

const sha256 = (random: Random) => random.hex(64)
const inJson = (field: string) => (answered: Answered) => {
  const value = JSON.parse(answered.body.toString()) as Record<string, unknown>
  return answered.headers['content-type'] === 'application/json' && value[field] !== undefined
}
const inXml = ({ headers, body }: Answered) =>
  headers['content-type'] === 'application/xml' && /<Code>\w+<\/Code>/.test(body.toString())
const OPAQUE = { isOpaque: true } as const
const USUAL = ['GET', 'HEAD', 'PUT']

export const BARE_REFUSALS: readonly number[] = [404, 405]

export const HTTP_PROTOCOLS: readonly HttpProtocol[] = [
  {
    ...OPAQUE,
    name: 'turborepo',
    prefix: '/v8/artifacts',
    methods: [...USUAL, 'POST', 'OPTIONS'],
    statuses: [200, 202, 400, 404, 405],
    kept: 202,
    key: (random) => random.hex(16),
    isOwnRefusal: inJson('error'),
  },
  // Nx ends at a read that is told anything else.
  {
    ...OPAQUE,
    name: 'nx',
    prefix: '/v1/cache',
    methods: ['GET', 'PUT'],
    statuses: [200, 403, 404],
    kept: 200,
    key: (random) => `${random.below(1e9)}`,
  },
  { name: 'bazel-ac', prefix: '/ac', methods: USUAL, statuses: [200, 400, 404, 405], kept: 200, key: sha256 },
  { name: 'bazel-cas', prefix: '/cas', methods: USUAL, statuses: [200, 400, 404, 405], kept: 200, key: sha256 },
  // Gradle switches itself off at anything but 404 and 413.
  {
    ...OPAQUE,
    name: 'gradle',
    prefix: '/gradle',
    methods: USUAL,
    statuses: [200, 404, 405, 413],
    kept: 200,
    key: (random) => random.hex(32),
  },
  {
    ...OPAQUE,
    name: 'maven',
    prefix: '/maven',
    methods: USUAL,
    statuses: [200, 201, 400, 404, 405],
    kept: 201,
    key: (random) => `v1.1/g/a/${random.hex(16)}/buildinfo.xml`,
  },
  {
    ...OPAQUE,
    name: 'ccache',
    prefix: '/ccache',
    methods: [...USUAL, 'DELETE'],
    statuses: [200, 201, 204, 400, 404, 405],
    kept: 201,
    key: (random) => `${random.hex(2)}/${random.hex(38)}`,
  },
  {
    ...OPAQUE,
    name: 'sccache',
    prefix: '/sccache',
    methods: [...USUAL, 'DELETE', 'PROPFIND', 'MKCOL'],
    statuses: [200, 201, 204, 207, 400, 403, 404, 405],
    kept: 201,
    key: (random) => `${random.hex(1)}/${random.hex(1)}/${random.hex(64)}`,
    headers: { depth: '0' },
  },
  {
    ...OPAQUE,
    name: 's3',
    prefix: '/s3',
    methods: [...USUAL, 'DELETE', 'POST'],
    statuses: [200, 204, 400, 404, 501],
    kept: 200,
    key: (random) => `p/${random.hex(40)}`,
    isOwnRefusal: inXml,
  },
  {
    ...OPAQUE,
    name: 'rush',
    prefix: '/rush',
    methods: [...USUAL, 'POST', 'PATCH'],
    statuses: [200, 400, 404, 405],
    kept: 200,
    key: (random) => random.hex(40),
  },
  {
    ...OPAQUE,
    name: 'go',
    prefix: '/go',
    methods: USUAL,
    statuses: [200, 400, 404, 405],
    kept: 200,
    key: sha256,
    headers: { 'recue-time': '2026-01-02T03:04:05Z' },
  },
  {
    name: 'twirp',
    prefix: '/twirp/github.actions.results.api.v1.CacheService',
    methods: ['POST', 'POST', 'GET', 'PUT'],
    statuses: [200, 400, 404, 409],
    key: (random) => random.pick(['CreateCacheEntry', 'FinalizeCacheEntryUpload', 'GetCacheEntryDownloadURL']),
    headers: { 'content-type': 'application/json' },
    isOwnRefusal: inJson('code'),
  },
  {
    name: 'archives',
    prefix: '/actions-cache',
    methods: USUAL,
    statuses: [200, 201, 206, 400, 403, 404, 405, 412, 416],
    key: (random) => `write/${random.bytes(60).toString('base64url')}?sig=${random.bytes(32).toString('base64url')}`,
    isOwnRefusal: inXml,
  },
  {
    name: 'mise',
    prefix: '/v1',
    methods: [...USUAL, 'POST'],
    statuses: [200, 201, 204, 400, 404, 405, 409, 412, 413, 422, 426],
    key: (random) =>
      `${random.pick(['blobs', 'action-results'])}/${random.pick(['sha256', 'blake3'])}/${random.hex(64)}/${random.below(300)}`,
    headers: { 'mise-cache-protocol': '1', 'mise-cache-namespace': 'fuzz', 'if-none-match': '*' },
    isOwnRefusal: inJson('error'),
  },
]

/** Whose a path is once it is read as a URL, which may lead from one protocol to another. */
export function protocolAt(target: string): HttpProtocol | undefined {
  const path = URL.parse(target, 'http://localhost')?.pathname
  if (path === undefined) return undefined
  const owner = (from: string) => HTTP_PROTOCOLS.find(({ prefix }) => from === prefix || from.startsWith(`${prefix}/`))
  return owner(path) ?? owner(path.replace(/^\/[^/]+/, ''))
}
