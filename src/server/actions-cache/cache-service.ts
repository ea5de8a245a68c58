import { randomBytes } from 'node:crypto'
import type { Scope } from '../../store/contracts.ts'
import { NOT_FOUND, type Protocol, type ProtocolRequest, type Reply, type Served } from '../protocol.ts'
import { wholeBody } from '../whole-body.ts'
import { archiveAt, type EntryName, entryDigest, findEntry, keepEntry } from './entries.ts'
import { type JobScopes, jobScopes } from './runtime-token.ts'
import { signedUrl } from './signed-url.ts'
import {
  decodeRequest,
  type Encoding,
  encodeResponse,
  encodingOf,
  isMethod,
  type MethodName,
  type RequestOf,
  type ResponseOf,
  twirpError,
} from './twirp.ts'
import { forgetUpload, uploadOf } from './uploads.ts'

/** GitHub's limit. */
const MOST_KEY = 512
/** GitHub's is 10; each is a look-up by its beginning. */
const MOST_KEYS = 32
const MOST_REQUEST_BYTES = 64 << 10
/** How long an address may be used: as GitHub's. */
const URL_MS = 60 * 60_000

/**
 * GitHub Actions' cache service, version 2 (Twirp), as `@actions/cache` and its kin know it. Archives go over addresses that it
 * gives out (`archives.ts`). What fails is `ok: false`, which no client takes for a failed step.
 */
export const actionsCache: Protocol = {
  name: 'actions-cache',
  prefix: '/twirp/github.actions.results.api.v1.CacheService',
  async answer(request, served) {
    const { method: verb, path: name, headers } = request
    if (verb !== 'POST' || !isMethod(name)) return twirpError('bad_route', `There is no ${verb} ${name}.`)
    const encoding = encodingOf(headers['content-type'])
    if (encoding === undefined)
      return twirpError('bad_route', 'It is neither application/json nor application/protobuf.')
    return answerMethod(request, served, name, encoding)
  },
  onFault: ({ path, headers }) => (isMethod(path) ? notOk(path, encodingOf(headers['content-type'])) : NOT_FOUND),
  // No 401: sccache would not start, and nothing would be built.
  refuse: ({ path, headers }) =>
    isMethod(path) ? notOk(path, encodingOf(headers['content-type']), NO_TOKEN) : NOT_FOUND,
}

async function answerMethod(
  request: ProtocolRequest,
  served: Served,
  name: MethodName,
  encoding: Encoding,
): Promise<Reply> {
  const bytes = await wholeBody(request.body, MOST_REQUEST_BYTES)
  const message = bytes && decodeRequest(name, encoding, bytes)
  if (message === undefined) return twirpError('malformed', `The body is no request to ${name}.`)
  if (message.key === '' || message.version === '')
    return twirpError('invalid_argument', 'A key and a version are needed.')
  if (keysIn(message).some((key) => key.length > MOST_KEY) || keysIn(message).length > MOST_KEYS)
    return twirpError('invalid_argument', `At most ${MOST_KEYS} keys, of at most ${MOST_KEY} characters each.`)
  // Its entries are found, and its addresses signed, by what each server keeps for itself.
  if (served.isOneOfMany) return notOk(name, encoding, ONE_OF_MANY)
  const job = jobOf(request, served)
  const answers = { CreateCacheEntry: create, FinalizeCacheEntryUpload: finalize, GetCacheEntryDownloadURL: find } as {
    [M in MethodName]: (job: Job, message: RequestOf<M>) => Promise<Partial<ResponseOf<M>> | 'taken'>
  }
  const fields = await (answers[name] as (job: Job, message: unknown) => Promise<object | 'taken'>)(job, message)
  return fields === 'taken' ? TAKEN : encodeResponse(name, encoding, fields)
}

function keysIn(message: { readonly key: string; readonly restoreKeys?: readonly string[] }): readonly string[] {
  return [message.key, ...(message.restoreKeys ?? [])]
}

/** On whose behalf a method is asked. */
interface Job extends JobScopes {
  readonly served: Served
  readonly request: ProtocolRequest
  readonly scope: Scope
}

function jobOf(request: ProtocolRequest, served: Served): Job {
  const scopes = jobScopes(request.headers.authorization, request.access)
  const { instance } = request.scope
  const own = scopes.repository === '' ? [] : [`repository=${scopes.repository}`]
  return { ...scopes, served, request, scope: { instance: [instance, ...own].filter((part) => part !== '').join('/') } }
}

/** Begins with what clients take for a policy, and no fault. */
const DENIED = { ok: false, message: 'cache write denied: this token may read and not write' }
/** As GitHub answers: clients go by the code. */
const TAKEN = twirpError('already_exists', 'cache entry with the same key, version, and scope already exists')

async function create(
  { served, request, scope, write: ref }: Job,
  { key, version }: RequestOf<'CreateCacheEntry'>,
): Promise<Partial<ResponseOf<'CreateCacheEntry'>> | 'taken'> {
  if (ref === undefined) return DENIED
  const entry = entryDigest({ ref, version, key })
  if ((await archiveAt(served, scope, entry, request.signal)) !== undefined) return 'taken'
  const upload = randomBytes(16).toString('hex')
  const grant = { may: 'write', instance: scope.instance, entry: entry.hash, upload, expiresMs: expiry() } as const
  return { ok: true, signedUploadUrl: await signedUrl(served.records, request, grant) }
}

/** Two that uploaded the same key at once both hear that an entry is there; the first one's stays. */
async function finalize(
  { served, request, scope, write: ref }: Job,
  { key, version, sizeBytes }: RequestOf<'FinalizeCacheEntryUpload'>,
): Promise<Partial<ResponseOf<'FinalizeCacheEntryUpload'>>> {
  if (ref === undefined) return DENIED
  const { signal } = request
  const name: EntryName = { ref, version, key }
  const entry = entryDigest(name)
  const isTaken = (await archiveAt(served, scope, entry, signal)) !== undefined
  const uploaded = await uploadOf(served, scope, { entry: entry.hash, sizeBytes }, signal)
  if (!isTaken && uploaded === undefined) return { ok: false, message: `nothing of ${sizeBytes} bytes was uploaded` }
  if (!isTaken && uploaded !== undefined)
    await keepEntry(served, scope, name, { ...uploaded, createdMs: Date.now() }, signal)
  if (uploaded !== undefined) await forgetUpload(served, scope, uploaded)
  return { ok: true, entryId: Number.parseInt(entry.hash.slice(0, 12), 16) }
}

async function find(
  { served, request, scope, read: refs }: Job,
  { key, restoreKeys, version }: RequestOf<'GetCacheEntryDownloadURL'>,
): Promise<Partial<ResponseOf<'GetCacheEntryDownloadURL'>>> {
  const wanted = { refs, version, keys: [key, ...restoreKeys] }
  const found = await findEntry(served, scope, wanted, request.signal)
  if (found === undefined) return { ok: false }
  const { instance } = scope
  const grant = { may: 'read', instance, entry: entryDigest(found).hash, upload: '', expiresMs: expiry() } as const
  const signedDownloadUrl = await signedUrl(served.records, request, grant)
  return { ok: true, signedDownloadUrl, matchedKey: found.key }
}

function expiry(): number {
  return Date.now() + URL_MS
}

const ONE_OF_MANY =
  'cache write denied: this server shares its storage with others, which keep no entries of GitHub Actions'
const NO_TOKEN = 'cache write denied: a token is needed, in ACTIONS_RUNTIME_TOKEN'

function notOk(name: MethodName, encoding: Encoding = 'json', message = ''): Reply {
  return encodeResponse(name, encoding, { ok: false, ...(name !== 'GetCacheEntryDownloadURL' && { message }) })
}
