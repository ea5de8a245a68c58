import { asActionDigest, type Digest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { isCacheError } from '../../errors.ts'
import { boundedReader } from '../../grpc/bounded-reader.ts'
import { ActionResult } from '../../proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { bytesOf } from '../artifacts.ts'
import {
  METHOD_NOT_ALLOWED,
  NOT_FOUND,
  type Protocol,
  type ProtocolRequest,
  type Reply,
  type Served,
} from '../protocol.ts'
import { wholeBody } from '../whole-body.ts'

const HASH = /^[0-9a-f]{64}$/
/** Action results hold no content beyond short output. */
const MOST_RESULT_BYTES = 4 << 20
const TEXT = { 'content-type': 'text/plain' }
const JSON_TYPE = { 'content-type': 'application/json' }
const BINARY = { 'content-type': 'application/octet-stream' }
const onFault = ({ method }: ProtocolRequest): Reply =>
  method === 'PUT' ? { status: 503, headers: TEXT, body: 'It was not kept.\n' } : NOT_FOUND
const refuse: Protocol['refuse'] = (_request, lacking) =>
  lacking === 'write'
    ? { status: 403, headers: TEXT, body: 'This token may read and not write.\n' }
    : { status: 401, headers: { ...TEXT, 'www-authenticate': 'Basic realm="recue"' }, body: 'A token is needed.\n' }

/**
 * Bazel's HTTP cache, blobs: `/cas/{SHA-256}`. What is put is checked against its name. Blobs are asked for by their hash
 * alone, as this protocol has it.
 */
export const bazelCas: Protocol = {
  name: 'bazel-cas',
  prefix: '/cas',
  async answer(request, served) {
    const { method, path: hash, scope, signal } = request
    if (!HASH.test(hash)) return refusal(400, 'A blob is named by the 64 lower-case hexadecimal digits of its SHA-256.')
    if (method === 'PUT') return putBlob(request, served, hash)
    if (method !== 'GET' && method !== 'HEAD') return METHOD_NOT_ALLOWED
    const digest = await served.names.digestOf(scope, hash, signal)
    const body = digest && (await bytesOf(served, scope, digest, signal))
    return body === undefined ? NOT_FOUND : { status: 200, headers: BINARY, body }
  },
  onFault,
  refuse,
}

/**
 * Bazel's HTTP cache, action results: `/ac/{SHA-256 of the Action}`. One is given out only with all its blobs there. Who asks for JSON
 * gets it, and who brings it is understood: so moon does.
 */
export const bazelAc: Protocol = {
  name: 'bazel-ac',
  prefix: '/ac',
  async answer(request, served) {
    const { method, path: hash, scope, signal } = request
    if (!HASH.test(hash))
      return refusal(400, 'An action is named by the 64 lower-case hexadecimal digits of its SHA-256.')
    if (method === 'PUT') return putResult(request, served, hash)
    if (method !== 'GET' && method !== 'HEAD') return METHOD_NOT_ALLOWED
    const action = asActionDigest({ hash, sizeBytes: UNKNOWN_BYTES })
    const lookup = await served.actions.get(scope, action, signal)
    const use = { instance: scope.instance, action, by: { headers: request.headers } }
    served.usage?.note(lookup.kind === 'hit' ? { kind: 'hit', ...use, of: lookup } : { kind: 'miss', ...use })
    if (lookup.kind === 'miss') return NOT_FOUND
    if (!/\bapplication\/json\b/.test(request.headers.accept ?? ''))
      return { status: 200, headers: BINARY, body: lookup.encoded }
    const { actionResultToJson } = await import('./action-result-json.ts')
    return { status: 200, headers: JSON_TYPE, body: actionResultToJson(lookup.result) }
  },
  onFault,
  refuse,
}

async function putBlob(
  { scope, body, contentLength, signal }: ProtocolRequest,
  { blobs }: Served,
  hash: string,
): Promise<Reply> {
  try {
    if (contentLength !== undefined) await blobs.write(scope, { hash, sizeBytes: contentLength }, body, signal)
    else if ((await blobs.ingest(scope, body, signal)).hash !== hash) return OTHER_BYTES
    return { status: 200 }
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.corrupt') return OTHER_BYTES
    throw error
  }
}

async function putResult(request: ProtocolRequest, { actions, names, usage }: Served, hash: string): Promise<Reply> {
  const { scope, signal } = request
  const result = await resultIn(request)
  if (result === undefined) return refusal(400, 'The body is no ActionResult.')
  // Bazel puts the Action before; who asks over gRPC names it with its size.
  const digest: Digest = (await names.digestOf(scope, hash, signal)) ?? { hash, sizeBytes: UNKNOWN_BYTES }
  const action = asActionDigest(digest)
  try {
    await actions.put(scope, action, result, signal)
    usage?.note({ kind: 'kept', instance: scope.instance, action, by: { headers: request.headers }, of: { result } })
    return { status: 200 }
  } catch (error) {
    if (isCacheError(error) && error.code === 'store.incomplete') return refusal(400, error.message)
    throw error
  }
}

async function resultIn({ body, headers }: ProtocolRequest): Promise<ActionResult | undefined> {
  const bytes = await wholeBody(body, MOST_RESULT_BYTES)
  if (bytes === undefined) return undefined
  if (/^application\/json\b/.test(headers['content-type'] ?? ''))
    return (await import('./action-result-json.ts')).actionResultFromJson(bytes.toString())
  try {
    return ActionResult.decode(boundedReader(bytes))
  } catch {
    return undefined
  }
}

const OTHER_BYTES: Reply = refusal(400, 'The bytes are not those that the name says.')

function refusal(status: number, text: string): Reply {
  return { status, headers: TEXT, body: `${text}\n` }
}
