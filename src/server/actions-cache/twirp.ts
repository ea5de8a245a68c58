import {
  CreateCacheEntryRequest,
  CreateCacheEntryResponse,
  FinalizeCacheEntryUploadRequest,
  FinalizeCacheEntryUploadResponse,
  GetCacheEntryDownloadURLRequest,
  GetCacheEntryDownloadURLResponse,
} from '../../proto/github/actions/results/api/v1/cache.ts'
import type { Reply } from '../protocol.ts'

/** Twirp over HTTP (https://twitchtv.github.io/twirp/docs/spec_v7.html): each client is answered in the encoding that it asks in. */
export type Encoding = 'json' | 'protobuf'

export const METHODS = {
  CreateCacheEntry: { request: CreateCacheEntryRequest, response: CreateCacheEntryResponse },
  FinalizeCacheEntryUpload: { request: FinalizeCacheEntryUploadRequest, response: FinalizeCacheEntryUploadResponse },
  GetCacheEntryDownloadURL: { request: GetCacheEntryDownloadURLRequest, response: GetCacheEntryDownloadURLResponse },
} as const

export type MethodName = keyof typeof METHODS
export type RequestOf<M extends MethodName> = ReturnType<(typeof METHODS)[M]['request']['decode']>
export type ResponseOf<M extends MethodName> = ReturnType<(typeof METHODS)[M]['response']['decode']>

export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name)
}

export function encodingOf(contentType: string | undefined): Encoding | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'application/json') return 'json'
  return type === 'application/protobuf' || type === 'application/x-protobuf' ? 'protobuf' : undefined
}

/** Undefined: the bytes are no such request. */
export function decodeRequest<M extends MethodName>(
  method: M,
  encoding: Encoding,
  bytes: Uint8Array,
): RequestOf<M> | undefined {
  try {
    const { request } = METHODS[method]
    if (encoding === 'protobuf') return request.decode(bytes) as RequestOf<M>
    return fromJson(request.decode(new Uint8Array(0)), JSON.parse(Buffer.from(bytes).toString())) as RequestOf<M>
  } catch {
    return undefined
  }
}

export function encodeResponse<M extends MethodName>(
  method: M,
  encoding: Encoding,
  fields: Partial<ResponseOf<M>>,
): Reply {
  const { response } = METHODS[method]
  const message = { ...response.decode(new Uint8Array(0)), ...fields }
  if (encoding === 'json') return { status: 200, headers: JSON_TYPE, body: JSON.stringify(toJson(message)) }
  const body = response.encode(message as never).finish()
  return { status: 200, headers: { 'content-type': 'application/protobuf' }, body }
}

const JSON_TYPE = { 'content-type': 'application/json' }

const STATUS = {
  malformed: 400,
  invalid_argument: 400,
  bad_route: 404,
  already_exists: 409,
} as const

/** Errors are JSON in either encoding. */
export function twirpError(code: keyof typeof STATUS, msg: string): Reply {
  return { status: STATUS[code], headers: JSON_TYPE, body: JSON.stringify({ code, msg }) }
}

/** Protobuf's JSON has both forms of a name, and 64-bit numbers as text. Fields that the message does not have count for nothing. */
function fromJson(nothing: Readonly<Record<string, unknown>> | object, json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Error('no object')
  const given = json as Readonly<Record<string, unknown>>
  const fields = Object.entries(nothing).map(([name, empty]) => {
    const value = given[name] ?? given[snakeCase(name)]
    return [name, value === undefined || value === null ? empty : valueLike(empty, value)]
  })
  return Object.fromEntries(fields)
}

function valueLike(empty: unknown, value: unknown): unknown {
  if (Array.isArray(empty) && Array.isArray(value) && value.every((each) => typeof each === 'string')) return value
  if (typeof empty === 'number' && (typeof value === 'number' || typeof value === 'string')) return wholeNumber(value)
  if (typeof empty === 'string' && typeof value === 'string') return value
  throw new Error('of another type')
}

function wholeNumber(value: number | string): number {
  const number = Number(value)
  if (value === '' || !Number.isSafeInteger(number)) throw new Error('no whole number')
  return number
}

function toJson(message: object): Record<string, unknown> {
  const fields = Object.entries(message).map(([name, value]) => [
    snakeCase(name),
    typeof value === 'number' ? String(value) : value,
  ])
  return Object.fromEntries(fields)
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
