import { type ArtifactToKeep, artifactKey, artifactResult, bytesOf, findArtifact, keepArtifact } from '../artifacts.ts'
import {
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  type Protocol,
  type ProtocolRequest,
  type Reply,
  type Served,
} from '../protocol.ts'
import { turnsEach } from '../turns.ts'
import { wholeBody } from '../whole-body.ts'

/** Kept with an artifact and given back byte for byte: a repository that signs would else miss for ever. */
const KEPT_HEADERS = ['x-artifact-duration', 'x-artifact-tag', 'x-artifact-sha', 'x-artifact-dirty-hash'] as const
const ENDPOINTS = new Set(['', 'status', 'events'])
const MOST_QUERY_BYTES = 1 << 20

/** Turborepo's remote cache (its OpenAPI document, `/v8/artifacts`). A team is an instance of its own. */
export const turborepo: Protocol = {
  name: 'turborepo',
  prefix: '/v8/artifacts',
  async answer(request, served) {
    const scoped = { ...request, scope: scopeOf(request) }
    if (ENDPOINTS.has(request.path)) return endpoint(scoped, served)
    return artifact(scoped, served)
  },
  onFault: ({ method, path }) => (method === 'PUT' || path === 'events' ? { status: 202 } : NOT_FOUND),
  refuse: (_request, lacking) =>
    lacking === 'write'
      ? refusal(403, 'forbidden', 'This token may read and not write.')
      : refusal(401, 'unauthorized', 'A token is needed: TURBO_TOKEN.'),
}

/** `slug` and `teamId` are names of different kinds, and hashes of different teams are not shared. */
function scopeOf({ scope, query }: ProtocolRequest): ProtocolRequest['scope'] {
  const team = ['teamId', 'slug'].flatMap((name) => (query.get(name) ? [`${name}=${query.get(name)}`] : []))
  return team.length === 0 ? scope : { instance: [scope.instance, ...team].filter((part) => part !== '').join('/') }
}

async function endpoint(request: ProtocolRequest, served: Served): Promise<Reply> {
  const { method, path } = request
  if (method === 'OPTIONS') return { status: 200, headers: PREFLIGHT }
  if (path === 'status' && method === 'GET') return json({ status: 'enabled' })
  if (path === 'events' && method === 'POST') return events(request, served)
  if (path === '' && method === 'POST') return query(request, served)
  return METHOD_NOT_ALLOWED
}

const PREFLIGHT = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, PUT, POST, OPTIONS',
  'access-control-allow-headers': `Authorization, Content-Type, User-Agent, ${KEPT_HEADERS.join(', ')}, x-artifact-client-ci, x-artifact-client-interactive`,
}

async function artifact(request: ProtocolRequest, served: Served): Promise<Reply> {
  const { method, path: key, scope, signal } = request
  if (method === 'OPTIONS') return { status: 200, headers: PREFLIGHT }
  if (method === 'PUT') {
    const kept = await keepArtifact(served, request, toKeep(request))
    return kept === 'kept' ? json({ urls: [] }, 202) : refusal(400, 'bad_request', 'The body was cut off.')
  }
  if (method !== 'GET' && method !== 'HEAD') return METHOD_NOT_ALLOWED
  const found = await findArtifact(served, scope, { tool: 'turborepo', key }, signal)
  const body = found && (await bytesOf(served, scope, found.digest, signal))
  return body === undefined ? NOT_FOUND : { status: 200, headers: { ...found?.headers, ...BINARY }, body }
}

const BINARY = { 'content-type': 'application/octet-stream' }

function toKeep({ path: key, headers }: ProtocolRequest): ArtifactToKeep {
  const kept = KEPT_HEADERS.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]]] : []))
  const durationMs = Number(headers['x-artifact-duration'])
  return {
    tool: 'turborepo',
    key,
    headers: Object.fromEntries(kept) as Record<string, string>,
    ...(Number.isFinite(durationMs) && durationMs > 0 && { durationMs }),
  }
}

const LOOK_UPS_A_TURN = 256

/** What is there of many: null for each that is not. */
async function query(request: ProtocolRequest, served: Served): Promise<Reply> {
  const hashes = await hashesIn(request)
  if (hashes === undefined) return refusal(400, 'bad_request', 'The body is not {"hashes":[…]}.')
  const found: Record<string, unknown> = Object.create(null)
  const turn = turnsEach(LOOK_UPS_A_TURN)
  for (const key of hashes) {
    await turn()
    const one = await findArtifact(served, request.scope, { tool: 'turborepo', key }, request.signal)
    found[key] = one === undefined ? null : factsOf(one)
  }
  return json(found)
}

function factsOf({ digest, headers }: { digest: { sizeBytes: number }; headers: Readonly<Record<string, string>> }) {
  const { 'x-artifact-duration': duration, 'x-artifact-tag': tag } = headers
  return { size: digest.sizeBytes, taskDurationMs: Number(duration ?? 0), ...(tag !== undefined && { tag }) }
}

async function hashesIn({ body }: ProtocolRequest): Promise<readonly string[] | undefined> {
  const bytes = await wholeBody(body, MOST_QUERY_BYTES)
  if (bytes === undefined) return undefined
  try {
    const { hashes } = JSON.parse(bytes.toString()) as { hashes: unknown }
    return Array.isArray(hashes) && hashes.every((hash) => typeof hash === 'string') ? hashes : undefined
  } catch {
    return undefined
  }
}

/** As the ledger has them: what turbo found in its own folder, and never asked for. */
const LOCAL_TOOL = 'turborepo-local'

/** What turbo says at its end of each task. Of those it asked for, and of what missed, it was noted down when it was asked. */
async function events({ scope: { instance }, body }: ProtocolRequest, { usage }: Served): Promise<Reply> {
  for (const event of usage === undefined ? [] : await listIn(body)) {
    const { source, event: what, hash: key, duration: durationMs } = { ...(event as Partial<TurboEvent> | null) }
    if (source !== 'LOCAL' || what !== 'HIT' || typeof key !== 'string') continue
    const result = artifactResult([], {
      ...{ tool: LOCAL_TOOL, key },
      ...(Number.isSafeInteger(durationMs) && { durationMs: durationMs as number }),
    })
    usage?.note({ kind: 'hit', instance, action: artifactKey('turborepo', key), by: LOCAL_TOOL, of: { result } })
  }
  return { status: 200 }
}

interface TurboEvent {
  readonly source: unknown
  readonly event: unknown
  readonly hash: unknown
  readonly duration: unknown
}

/** Empty where it is none: turbo does not look at what it is told of these. */
async function listIn(body: ProtocolRequest['body']): Promise<readonly unknown[]> {
  const bytes = await wholeBody(body, MOST_QUERY_BYTES)
  try {
    const list: unknown = JSON.parse(bytes?.toString() ?? '')
    return Array.isArray(list) ? list : []
  } catch {
    return []
  }
}

function json(value: unknown, status = 200): Reply {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}

/** Turborepo wants its errors under `error`. */
function refusal(status: number, code: string, message: string): Reply {
  return json({ error: { code, message } }, status)
}
