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
const propfind = (path: string, depth = '0') => ask('PROPFIND', path, { depth }, '<?xml version="1.0"?><D:propfind/>')

test('a folder is there by its name, and to make one changes nothing', async () => {
  for (const path of ['/sccache', '/sccache/', '/sccache/a/b/', '/team/sccache/a/']) {
    const answer = await propfind(path)
    expect(answer.status).toBe(207)
    expect(answer.headers.get('content-type')).toBe('application/xml; charset=utf-8')
    const text = await answer.text()
    expect(text).toContain('<D:collection/>')
    expect(text).toContain(`<D:href>${path === '/sccache' ? '/sccache/' : path}</D:href>`)
    expect((await ask('MKCOL', path)).status).toBe(201)
  }
})

test('a key is there once it was put, with its size, and gone once it was deleted', async () => {
  const path = '/sccache/a/b/abc'
  expect((await propfind(path)).status).toBe(404)
  expect((await ask('DELETE', path)).status).toBe(404)
  await ask('PUT', path, {}, 'four')
  const found = await (await propfind(path)).text()
  expect(found).toContain('<D:getcontentlength>4</D:getcontentlength>')
  expect(found).not.toContain('collection')
  const head = await ask('HEAD', path)
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '4'])
  expect((await ask('DELETE', path)).status).toBe(204)
  expect((await ask('GET', path)).status).toBe(404)
})

test('names come back as XML may hold them', async () => {
  const path = "/sccache/a&b'c%3C%22d%20e"
  await ask('PUT', path, {}, 'four')
  expect(await (await propfind(path)).text()).toContain('<D:href>/sccache/a&amp;b&apos;c%3C%22d%20e</D:href>')
})

test('what lies in a folder is not told, nor anything done that was not asked for by a known word', async () => {
  for (const depth of ['1', 'infinity']) expect((await propfind('/sccache/a/', depth)).status).toBe(403)
  expect((await ask('PROPFIND', '/sccache/a/')).status).toBe(403)
  for (const method of ['POST', 'PATCH', 'LOCK', 'MOVE', 'COPY', 'PROPPATCH']) {
    const answer = await ask(method, '/sccache/a')
    expect([method, answer.status, answer.headers.get('allow')]).toEqual([
      ...[method, 405],
      'GET, HEAD, PUT, DELETE, PROPFIND, MKCOL',
    ])
  }
})

test('who may only read finds folders and keys, and is refused each write', async () => {
  await server[Symbol.asyncDispose]()
  server = await temporaryServer({ gate: gateOf('read a-token-that-reads-0', 'tokens') })
  const authorization = 'Bearer a-token-that-reads-0'
  expect((await ask('PROPFIND', '/sccache/', { authorization, depth: '0' })).status).toBe(207)
  for (const method of ['PUT', 'DELETE', 'MKCOL'])
    expect((await ask(method, '/sccache/a', { authorization })).status).toBe(403)
  for (const method of ['GET', 'HEAD', 'PROPFIND']) expect((await ask(method, '/sccache/a')).status).toBe(404)
})
