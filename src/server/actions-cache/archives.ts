import { asActionDigest, UNKNOWN_BYTES } from '../../digest/digest.ts'
import { BATCH_BLOB_BYTES, type OpenBytes } from '../../store/contracts.ts'
import type { Protocol, ProtocolRequest, Reply, ReplyBody, Served } from '../protocol.ts'
import { wholeBody } from '../whole-body.ts'
import { blockList } from './block-list.ts'
import { byteRange } from './byte-range.ts'
import { concatenated } from './concatenated.ts'
import { type Archive, archiveAt } from './entries.ts'
import { BLOB_PREFIX, type Grant, grantIn } from './signed-url.ts'
import { keepBlock, keepBlocks, keepUpload } from './uploads.ts'

/** 50,000 names of 88 characters in their tags. */
const MOST_LIST_BYTES = 8 << 20

/**
 * Where archives are uploaded to and downloaded from: as much of Azure's block blobs as its SDKs use for that
 * (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api). The address says who may.
 */
export const actionsArchives: Protocol = {
  name: 'actions-archives',
  prefix: BLOB_PREFIX,
  isSigned: true,
  async answer(request, served) {
    const grant = grantIn(served.records, request.path, request.query.get('sig'))
    if (grant === undefined) return failure(403, 'AuthenticationFailed', 'This address is not valid, or not any more.')
    const scoped = { ...request, scope: { instance: grant.instance } }
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (isRead && grant.may === 'read') return download(scoped, served, grant)
    if (request.method === 'PUT' && grant.may === 'write') return upload(scoped, served, grant)
    return failure(405, 'UnsupportedHttpVerb', 'This address is for something else.')
  },
  // 507: what clients take for final. They would ask again and again after other faults.
  onFault: ({ method }) =>
    method === 'PUT' ? failure(507, 'InternalError', 'It was not kept.') : failure(404, 'BlobNotFound', 'It has gone.'),
  refuse: () => failure(403, 'AuthenticationFailed', 'This address is not valid.'),
}

async function upload(request: ProtocolRequest, served: Served, grant: Grant): Promise<Reply> {
  const comp = request.query.get('comp')
  if (comp === 'block') return block(request, served, grant)
  if (comp === 'blocklist') return blocks(request, served, grant)
  if (comp !== null) return failure(400, 'InvalidQueryParameterValue', 'comp is neither block nor blocklist.')
  const { scope, signal, body, contentLength } = request
  const digest = await served.blobs.ingest(scope, body, signal)
  if (contentLength !== undefined && contentLength !== digest.sizeBytes) return CUT_OFF
  const { entry } = grant
  await keepUpload(served, scope, { entry, parts: [digest], sizeBytes: digest.sizeBytes, blocks: [] }, signal)
  return created()
}

async function block(request: ProtocolRequest, served: Served, grant: Grant): Promise<Reply> {
  const name = request.query.get('blockid')
  if (name === null || name === '' || name.length > 128)
    return failure(400, 'InvalidQueryParameterValue', 'A block has a name of 1 to 128 characters.')
  return (await keepBlock(served, request, grant, name)) === 'kept' ? created() : CUT_OFF
}

async function blocks(request: ProtocolRequest, served: Served, grant: Grant): Promise<Reply> {
  const bytes = await wholeBody(request.body, MOST_LIST_BYTES)
  const names = bytes && blockList(bytes.toString())
  if (names === undefined) return failure(400, 'InvalidXmlDocument', 'The body is no BlockList.')
  const kept = await keepBlocks(served, request.scope, grant, names, request.signal)
  return kept === undefined ? failure(400, 'InvalidBlockList', 'A block of the list was not uploaded.') : created()
}

async function download(request: ProtocolRequest, served: Served, { entry }: Grant): Promise<Reply> {
  const { scope, headers, signal } = request
  const archive = await archiveAt(served, scope, asActionDigest({ hash: entry, sizeBytes: UNKNOWN_BYTES }), signal)
  if (archive === undefined) return failure(404, 'BlobNotFound', 'It has gone.')
  const about = headersOf(archive, entry)
  const { 'if-match': ifMatch } = headers
  if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== about.etag)
    return failure(412, 'ConditionNotMet', 'It is another one.')
  const { sizeBytes, parts } = archive
  const asked = headers['x-ms-range'] ?? headers.range
  const range = byteRange(typeof asked === 'string' ? asked : undefined, sizeBytes)
  if (range === 'unsatisfiable')
    return failure(416, 'InvalidRange', 'The range begins beyond the end.', { 'content-range': `bytes */${sizeBytes}` })
  const { offset, length } = range === 'whole' ? { offset: 0, length: sizeBytes } : range
  const body = await bodyOf(concatenated(served, scope, parts, { offset, length, signal }), length)
  if (range === 'whole') return { status: 200, headers: about, body }
  const which = { 'content-range': `bytes ${offset}-${offset + length - 1}/${sizeBytes}` }
  return { status: 206, headers: { ...about, ...which }, body }
}

/** What is small is read whole, so that damage is found before the first byte goes out. */
async function bodyOf(bytes: OpenBytes, sizeBytes: number): Promise<ReplyBody> {
  if (sizeBytes > BATCH_BLOB_BYTES) return { bytes, sizeBytes }
  return (await wholeBody(bytes, sizeBytes)) ?? ''
}

function headersOf({ createdMs }: Archive, entry: string): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    // An entry never changes; one that was evicted and kept anew has another time.
    etag: `"${entry.slice(0, 16)}-${createdMs}"`,
    'last-modified': new Date(createdMs).toUTCString(),
    'x-ms-blob-type': 'BlockBlob',
  }
}

function created(): Reply {
  return { status: 201, headers: { etag: '"uploaded"', 'last-modified': new Date().toUTCString() } }
}

const CUT_OFF = failure(400, 'InvalidHeaderValue', 'Other bytes than announced came.')

function failure(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}): Reply {
  const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
  return { status, headers: { 'content-type': 'application/xml', 'x-ms-error-code': code, ...headers }, body }
}
