import { afterEach, beforeEach, expect, test } from 'vitest'
import { gateOf } from '../access.ts'
import type { RunningServer } from '../serve.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'

let server: RunningServer
beforeEach(async () => {
  server = await temporaryServer()
})
afterEach(() => server[Symbol.asyncDispose]())

const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: string) =>
  fetch(server.url + path, { method, headers, ...(body !== undefined && { body }) })

test('an object has what clients look for, until it is deleted; to delete is done whether it was there or not', async () => {
  const path = '/s3/a/b/key'
  const missing = await ask('GET', path)
  expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining('<Code>NoSuchKey</Code>')])
  expect(
    (await ask('PUT', `${path}?x-id=PutObject`, { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }, 'four')).status,
  ).toBe(200)
  for (const method of ['GET', 'HEAD']) {
    const { status, headers } = await ask(method, path)
    expect([status, headers.get('content-length')]).toEqual([200, '4'])
    expect(headers.get('etag')).toMatch(/^"[0-9a-f]{64}"$/)
    expect(Date.parse(headers.get('last-modified') ?? '')).toBe(0)
  }
  expect(await (await ask('GET', path)).text()).toBe('four')
  expect((await ask('GET', `/team${path}`)).status).toBe(404)
  for (const _ of [1, 2]) expect((await ask('DELETE', path)).status).toBe(204)
  expect((await ask('GET', path)).status).toBe(404)
})

test('the bucket is there', async () => {
  for (const path of ['/s3', '/s3/']) expect((await ask('HEAD', path)).status).toBe(200)
  expect(await (await ask('GET', '/s3?location')).text()).toContain('<LocationConstraint ')
})

test('what it does not know is never taken for the object', async () => {
  await ask('PUT', '/s3/key', {}, 'four')
  const chunked = [
    { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' },
    { 'content-encoding': 'aws-chunked' },
    { 'content-encoding': 'gzip,aws-chunked' },
  ] as Record<string, string>[]
  for (const headers of chunked) expect((await ask('PUT', '/s3/key', headers, '4;x\r\nfive\r\n0\r\n')).status).toBe(501)
  for (const query of ['partNumber=1&uploadId=a', 'tagging', 'acl', 'x-id=PutObject&tagging'])
    expect((await ask('PUT', `/s3/key?${query}`, {}, 'five')).status).toBe(501)
  for (const [method, path] of [
    ['POST', '/s3/key?uploads'],
    ['POST', '/s3/key'],
    ['GET', '/s3/key?tagging'],
    ['DELETE', '/s3/key?uploadId=a'],
    ['GET', '/s3?list-type=2'],
    ['PUT', '/s3'],
    ['DELETE', '/s3/'],
  ] as const)
    expect([method, path, (await ask(method, path)).status]).toEqual([method, path, 501])
  expect(await (await ask('GET', '/s3/key')).text()).toBe('four')
})

test('the id of the access key is the token', async () => {
  await server[Symbol.asyncDispose]()
  server = await temporaryServer({ gate: gateOf('read a/token+that=reads\nwrite a-token-that-writes', 'tokens') })
  const signed = (token: string, service = 's3') => ({
    authorization: `AWS4-HMAC-SHA256 Credential=${token}/20261121/any/${service}/aws4_request, SignedHeaders=host, Signature=00`,
  })
  const [reads, writes] = [signed('a/token+that=reads'), signed('a-token-that-writes')]
  expect((await ask('PUT', '/s3/key', writes, 'four')).status).toBe(200)
  expect((await ask('GET', '/s3/key', reads)).status).toBe(200)
  for (const method of ['PUT', 'DELETE']) expect((await ask(method, '/s3/key', reads)).status).toBe(403)
  for (const headers of [{}, signed('another-token-0123'), signed('a-token-that-writes', 'sqs')]) {
    expect((await ask('GET', '/s3/key', headers)).status).toBe(404)
    expect((await ask('PUT', '/s3/key', headers, 'five')).status).toBe(403)
  }
})
