import { bytesOf } from '../artifacts.ts'
import { NOT_FOUND, type Protocol, type ProtocolRequest, type Reply, type Served } from '../protocol.ts'
import { turnsEach } from '../turns.ts'
import { wholeBody } from '../whole-body.ts'
import { actionResult } from './action-result.ts'
import { blobNamed, keepBlob, LOOK_UPS_A_TURN } from './blobs.ts'
import { type CacheDigest, digestInJson, digestInPath, sameCacheDigest } from './cache-digest.ts'
import { canonicalJson } from './canonical-json.ts'
import { OtherBytes } from './named-bytes.ts'
import { InvalidGraph, resultGraph } from './result-graph.ts'
import { findResult, keepResult } from './results.ts'

const RESULT_TYPE = 'application/vnd.mise.cache-action-result.v1+json'
const MOST_DIGESTS = 10_000
/** Of about 130 bytes each. */
const MOST_QUERY_BYTES = 2 << 20
const MOST_RESULT_BYTES = 1 << 20
const MOST_BLOB_BYTES = 100 * 2 ** 30
const NAMESPACE = /^[\x21-\x7e]{1,200}$/

/** mise's remote task cache, protocol 1 (https://mise.jdx.dev/tasks/remote-cache-protocol.html). A namespace is an instance. */
export const mise: Protocol = {
  name: 'mise',
  prefix: '/v1',
  async answer(request, served) {
    const { method, path } = request
    const isGet = method === 'GET' || method === 'HEAD'
    if (path === 'status') return isGet ? json(200, { status: 'ok', protocol: 1 }) : NOT_ALLOWED
    if (path === 'capabilities') return isGet ? json(200, CAPABILITIES) : NOT_ALLOWED
    const [kind = '', ...rest] = path.split('/')
    if (!['blobs:missing', 'blobs', 'action-results'].includes(kind)) return NOT_FOUND
    const refusal = refusalOf(request)
    if (refusal !== undefined) return refusal
    const scoped = { ...request, scope: scopeOf(request) }
    if (kind === 'blobs:missing') return method === 'POST' ? missing(scoped, served) : NOT_ALLOWED
    const digest = digestInPath(rest.join('/'))
    if (digest === undefined) return failure(400, 'not {algorithm}/{hash}/{size}')
    if (isGet) return (kind === 'blobs' ? getBlob : getResult)(scoped, served, digest)
    if (method !== 'PUT') return NOT_ALLOWED
    if (request.headers['if-none-match'] !== '*') return failure(412, 'If-None-Match: * is required')
    return (kind === 'blobs' ? putBlob : putResult)(scoped, served, digest)
  },
  onFault: ({ method }) => (method === 'GET' || method === 'HEAD' ? NOT_FOUND : failure(503, 'it was not kept')),
  refuse: (_request, lacking) =>
    lacking === 'write'
      ? failure(403, 'this token may read and not write')
      : failure(401, 'a token is needed: MISE_TASK_CACHE_REMOTE_TOKEN'),
}

const CAPABILITIES = {
  protocol: { major: 1, minor: 0 },
  digest_algorithms: ['blake3', 'sha256'],
  compressors: ['identity'],
  action_kinds: { task: { action_schema: 1, metadata_schema: 1 } },
  features: { batch: true, resumable_uploads: false, delegated_transfers: false },
  limits: { max_batch_items: MOST_DIGESTS, max_inline_blob_bytes: 1 << 20, max_blob_bytes: MOST_BLOB_BYTES },
}

function refusalOf({ headers }: ProtocolRequest): Reply | undefined {
  if (headers['mise-cache-protocol'] !== '1')
    return { ...failure(426, 'this server speaks protocol 1'), headers: { ...JSON_TYPE, 'mise-cache-protocol': '1' } }
  const namespace = headers['mise-cache-namespace']
  const isName = typeof namespace === 'string' && NAMESPACE.test(namespace)
  return isName ? undefined : failure(400, 'Mise-Cache-Namespace is required')
}

function scopeOf({ scope, headers }: ProtocolRequest): ProtocolRequest['scope'] {
  const namespace = `namespace=${headers['mise-cache-namespace']}`
  return { instance: scope.instance === '' ? namespace : `${scope.instance}/${namespace}` }
}

async function missing({ body, scope, signal }: ProtocolRequest, served: Served): Promise<Reply> {
  const bytes = await wholeBody(body, MOST_QUERY_BYTES)
  if (bytes === undefined) return failure(413, 'too much is asked for at once')
  const digests = digestsIn(bytes)
  if (digests === undefined) return failure(400, 'the body is not {"digests":[…]}')
  if (digests.length > MOST_DIGESTS) return failure(413, `at most ${MOST_DIGESTS} digests may be asked for`)
  const absent: CacheDigest[] = []
  const turn = turnsEach(LOOK_UPS_A_TURN)
  for (const digest of digests) {
    if ((await blobNamed(served, scope, digest, signal)) === undefined) absent.push(digest)
    await turn()
  }
  return json(200, { missing: absent })
}

function digestsIn(bytes: Uint8Array): CacheDigest[] | undefined {
  const list = jsonIn(bytes)?.digests
  if (!Array.isArray(list)) return undefined
  const digests = list.flatMap((each) => digestInJson(each) ?? [])
  return digests.length === list.length ? digests : undefined
}

async function getBlob({ scope, signal }: ProtocolRequest, served: Served, digest: CacheDigest): Promise<Reply> {
  const stored = await blobNamed(served, scope, digest, signal)
  const body = stored && (await bytesOf(served, scope, stored, signal))
  if (body === undefined) return NOT_FOUND
  const headers = { 'content-type': 'application/octet-stream', etag: `"${digest.hash}"`, digest: nameOf(digest) }
  return { status: 200, headers, body }
}

async function putBlob(request: ProtocolRequest, served: Served, digest: CacheDigest): Promise<Reply> {
  const { scope, body, contentLength, signal } = request
  if (digest.size > MOST_BLOB_BYTES) return failure(413, `a blob may have ${MOST_BLOB_BYTES} bytes`)
  if (contentLength !== undefined && contentLength !== digest.size) return OTHER_BYTES
  if ((await blobNamed(served, scope, digest, signal)) !== undefined) {
    // Read to its end: a client that is answered before would hear of a broken connection.
    for await (const _chunk of body);
    return { status: 204 }
  }
  try {
    await keepBlob(served, scope, digest, body, signal)
    return { status: 201 }
  } catch (error) {
    if (error instanceof OtherBytes) return OTHER_BYTES
    throw error
  }
}

async function getResult({ scope, signal }: ProtocolRequest, served: Served, action: CacheDigest): Promise<Reply> {
  const text = await findResult(served, scope, action, signal)
  return text === undefined ? NOT_FOUND : { status: 200, headers: { 'content-type': RESULT_TYPE }, body: text }
}

async function putResult(request: ProtocolRequest, served: Served, action: CacheDigest): Promise<Reply> {
  const { scope, body, signal } = request
  const bytes = await wholeBody(body, MOST_RESULT_BYTES)
  const value = bytes && jsonIn(bytes)
  const result = value && actionResult(value)
  if (result === undefined || !sameCacheDigest(result.action, action))
    return failure(400, 'the body is no result of that action')
  try {
    const graph = await resultGraph(served, scope, result, signal)
    const outcome = await keepResult(served, scope, { action, text: canonicalJson(value), graph }, signal)
    if (outcome === 'different') return failure(409, 'another result of that action is there')
    return { status: outcome === 'new' ? 201 : 204 }
  } catch (error) {
    if (error instanceof InvalidGraph) return failure(422, error.message)
    throw error
  }
}

function jsonIn(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

function nameOf({ algorithm, hash }: CacheDigest): string {
  return `${algorithm}=${hash}`
}

const JSON_TYPE = { 'content-type': 'application/json' }
const NOT_ALLOWED: Reply = failure(405, 'not here')
const OTHER_BYTES: Reply = failure(400, 'the bytes are not those that the digest names')

function json(status: number, value: unknown): Reply {
  return { status, headers: JSON_TYPE, body: JSON.stringify(value) }
}

function failure(status: number, error: string): Reply {
  return json(status, { error })
}
