import { expect, test } from 'vitest'
import { FinalizeCacheEntryUploadRequest } from '../../proto/github/actions/results/api/v1/cache.ts'
import { decodeRequest, encodeResponse, encodingOf } from './twirp.ts'

const json = (value: unknown) => Buffer.from(JSON.stringify(value))

test('takes either form of a name, numbers as texts, and fields that it does not know', () => {
  const message = { key: 'k', sizeBytes: 14, version: 'v' }
  for (const sent of [
    { key: 'k', size_bytes: '14', version: 'v' },
    { key: 'k', sizeBytes: 14, version: 'v', metadata: { scope: [] } },
  ])
    expect(decodeRequest('FinalizeCacheEntryUpload', 'json', json(sent))).toEqual(message)
  const bytes = FinalizeCacheEntryUploadRequest.encode(message).finish()
  expect(decodeRequest('FinalizeCacheEntryUpload', 'protobuf', bytes)).toEqual(message)
})

test('what is missing or null is empty', () => {
  expect(decodeRequest('GetCacheEntryDownloadURL', 'json', json({ key: 'k', restore_keys: null }))).toEqual({
    key: 'k',
    restoreKeys: [],
    version: '',
  })
})

test.each([
  'nonsense',
  '[]',
  'null',
  '7',
  '{"key":7}',
  '{"key":["a"]}',
  '{"size_bytes":"many"}',
  '{"size_bytes":""}',
  '{"size_bytes":1.5}',
  '{"size_bytes":"9007199254740993"}',
])('%s is no request', (text) => {
  expect(decodeRequest('FinalizeCacheEntryUpload', 'json', Buffer.from(text))).toBeUndefined()
})

test('restore keys are texts', () => {
  expect(decodeRequest('GetCacheEntryDownloadURL', 'json', json({ restore_keys: ['a', 1] }))).toBeUndefined()
  expect(decodeRequest('GetCacheEntryDownloadURL', 'protobuf', Buffer.from([0x12, 0x7f]))).toBeUndefined()
})

test('answers in the encoding of the request, numbers in JSON as texts', () => {
  const answer = encodeResponse('FinalizeCacheEntryUpload', 'json', { ok: true, entryId: 7 })
  expect(answer).toEqual({
    ...{ status: 200, headers: { 'content-type': 'application/json' } },
    body: '{"ok":true,"entry_id":"7","message":""}',
  })
  expect(encodeResponse('FinalizeCacheEntryUpload', 'protobuf', { ok: false })).toMatchObject({
    headers: { 'content-type': 'application/protobuf' },
    body: new Uint8Array(0),
  })
})

test('knows content types with parameters', () => {
  expect(encodingOf('application/json; charset=utf-8')).toBe('json')
  expect(encodingOf('Application/Protobuf')).toBe('protobuf')
  expect(encodingOf('text/plain')).toBeUndefined()
  expect(encodingOf(undefined)).toBeUndefined()
})
