import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CreateCacheEntryRequest, CreateCacheEntryResponse } from '../../proto/github/actions/results/api/v1/cache.ts'
import { content } from '../../store/content.fixture.ts'
import { type LocalStore, openLocalStore } from '../../store/local/local-store.ts'
import { gateOf, OPEN } from '../access.ts'
import type { ProtocolRequest, Served } from '../protocol.ts'
import { type RunningServer, type ServeOptions, serve } from '../serve.ts'
import { actionsArchives } from './archives.ts'

let dir: string
let store: LocalStore
let server: RunningServer
let faults: string[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-actions-cache-'))
  store = await openLocalStore({ dir })
  await started(store)
})
afterEach(async () => {
  vi.useRealTimers()
  await server[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

async function started(served: Served, options: Partial<ServeOptions> = {}): Promise<void> {
  faults = []
  server = await serve(served, {
    http: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    gate: OPEN,
    onFault: ({ protocol, error }) => faults.push(`${protocol}: ${(error as Error).message}`),
    ...options,
  })
}

async function restarted(served: Served, options: Partial<ServeOptions> = {}): Promise<void> {
  await server[Symbol.asyncDispose]()
  await started(served, options)
}

type Json = Readonly<Record<string, unknown>>

function call(method: string, message: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${server.url}/twirp/github.actions.results.api.v1.CacheService/${method}`, {
    method: 'POST',
    body: JSON.stringify(message),
    headers: { 'content-type': 'application/json', ...headers },
  })
}

const said = async (...args: Parameters<typeof call>) => (await (await call(...args)).json()) as Json
const bytesIn = async (answer: Response) => Buffer.from(await answer.arrayBuffer())
const version = 'v'.repeat(64)

async function uploadUrl(key: string, headers?: Readonly<Record<string, string>>): Promise<string> {
  const answer = await said('CreateCacheEntry', { key, version }, headers)
  expect(answer).toMatchObject({ ok: true })
  return String(answer.signed_upload_url)
}

async function put(url: string, body: Uint8Array | string, headers: Readonly<Record<string, string>> = {}) {
  return fetch(url, { method: 'PUT', body: typeof body === 'string' ? body : Buffer.from(body), headers })
}

async function save(key: string, bytes: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<Json> {
  const answer = await put(await uploadUrl(key, headers), bytes, { 'x-ms-blob-type': 'BlockBlob' })
  expect(answer.status).toBe(201)
  return said('FinalizeCacheEntryUpload', { key, version, size_bytes: String(bytes.length) }, headers)
}

async function find(key: string, restoreKeys: readonly string[] = [], headers?: Readonly<Record<string, string>>) {
  const answer = await said('GetCacheEntryDownloadURL', { key, restore_keys: restoreKeys, version }, headers)
  return { ok: answer.ok, key: answer.matched_key, url: String(answer.signed_download_url) }
}

test.each([0, 1, 5000, 3_000_000])('an archive of %i bytes comes back as it was', async (size) => {
  const bytes = content(size, size)
  expect(await find('a')).toMatchObject({ ok: false, key: '' })
  expect(await save('a', bytes)).toMatchObject({ ok: true, entry_id: expect.stringMatching(/^\d+$/) })
  const found = await find('a')
  expect(found).toMatchObject({ ok: true, key: 'a' })
  const answer = await fetch(found.url)
  expect([answer.status, answer.headers.get('content-length')]).toEqual([200, String(size)])
  expect((await bytesIn(answer)).equals(Buffer.from(bytes))).toBe(true)
  const head = await fetch(found.url, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String(size)])
  expect(head.headers.get('x-ms-blob-type')).toBe('BlockBlob')
  expect(Date.parse(head.headers.get('last-modified') ?? '')).toBeGreaterThan(Date.now() - 60_000)
})

test('who asks in protobuf is answered in it, and errors are JSON all the same', async () => {
  const ask = (bytes: Uint8Array) =>
    fetch(`${server.url}/twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry`, {
      method: 'POST',
      body: Buffer.from(bytes),
      headers: { 'content-type': 'application/protobuf' },
    })
  const request = CreateCacheEntryRequest.encode({ key: 'a', version }).finish()
  const answer = await ask(request)
  expect(answer.headers.get('content-type')).toBe('application/protobuf')
  const { ok, signedUploadUrl } = CreateCacheEntryResponse.decode(await bytesIn(answer))
  expect(ok).toBe(true)
  expect((await put(signedUploadUrl, 'four')).status).toBe(201)
  expect(await said('FinalizeCacheEntryUpload', { key: 'a', version, size_bytes: 4 })).toMatchObject({ ok: true })
  const taken = await ask(request)
  expect([taken.status, taken.headers.get('content-type')]).toEqual([409, 'application/json'])
  expect(await taken.json()).toMatchObject({ code: 'already_exists' })
})

describe('a look-up', () => {
  test('meets a key exactly, then by its beginning, the newest first, and of one version', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    for (const [i, key] of ['linux-1', 'linux-22', 'linux-3', 'mac-1'].entries()) {
      vi.setSystemTime(1_800_000_000_000 + (i === 1 ? 9 : i) * 1000)
      await save(key, content(10, i))
    }
    expect(await find('linux-1')).toMatchObject({ key: 'linux-1' })
    expect(await find('linux-')).toMatchObject({ key: 'linux-22' })
    expect(await find('linux-9', ['mac-', 'linux-'])).toMatchObject({ key: 'mac-1' })
    expect(await find('linux-9', ['linux-3'])).toMatchObject({ key: 'linux-3' })
    expect(await find('linux-9', ['inux'])).toMatchObject({ ok: false })
    expect(await said('GetCacheEntryDownloadURL', { key: 'linux-22', version: 'other' })).toMatchObject({ ok: false })
    expect(await find('linux-')).toMatchObject({ key: 'linux-22' })
  })

  test('finds the same after a restart, in another process', async () => {
    await save('linux-1', content(10, 1))
    await store[Symbol.asyncDispose]()
    store = await openLocalStore({ dir })
    await restarted(store)
    expect(await find('x', ['linux-'])).toMatchObject({ key: 'linux-1' })
  })

  test('does not offer what was evicted, and forgets it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(1_800_000_000_000)
    await save('linux-1', content(10, 1))
    vi.setSystemTime(1_800_000_001_000)
    await save('linux-2', content(10, 2))
    const { entryDigest } = await import('./entries.ts')
    await store.actions.remove({ instance: '' }, entryDigest({ ref: '', version, key: 'linux-2' }))
    expect(store.records.names('actions-cache', 'entry ')).toHaveLength(2)
    expect(await find('linux-')).toMatchObject({ key: 'linux-1' })
    expect(store.records.names('actions-cache', 'entry ')).toHaveLength(1)
    expect(await find('linux-2')).toMatchObject({ ok: false })
  })

  test('finds the newest of more than are read at once', async () => {
    const { keepEntry } = await import('./entries.ts')
    const { signal } = new AbortController()
    const keep = (i: number) =>
      keepEntry(
        store,
        { instance: '' },
        { ref: '', version, key: `many-${i}` },
        { parts: [], sizeBytes: 0, createdMs: i === 999 ? 5000 : i },
        signal,
      )
    await Promise.all(Array.from({ length: 1100 }, (_, i) => keep(i)))
    expect(await find('many-')).toMatchObject({ key: 'many-999' })
  })

  test('is kept short: puts forget some of what was evicted', async () => {
    const { entryDigest, keepEntry } = await import('./entries.ts')
    const { signal } = new AbortController()
    const archive = { parts: [], sizeBytes: 0, createdMs: 1 }
    const scope = { instance: '' }
    for (let i = 0; i < 300; i++) {
      const name = { ref: '', version, key: `gone-${i}` }
      await keepEntry(store, scope, name, archive, signal)
      await store.actions.remove(scope, entryDigest(name))
    }
    expect(store.records.names('actions-cache', 'entry ').length).toBeLessThan(200)
  })

  test('heals an index that was lost', async () => {
    await save('linux-1', content(10, 1))
    for (const name of store.records.names('actions-cache', 'entry ')) await store.records.remove('actions-cache', name)
    expect(await find('linux-')).toMatchObject({ ok: false })
    expect(await find('linux-1')).toMatchObject({ ok: true })
    expect(await find('linux-')).toMatchObject({ key: 'linux-1' })
  })

  test('is apart by instance', async () => {
    await save('linux-1', content(10, 1))
    const ask = await fetch(
      `${server.url}/red/twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL`,
      {
        method: 'POST',
        body: JSON.stringify({ key: 'linux-1', version }),
        headers: { 'content-type': 'application/json' },
      },
    )
    expect(await ask.json()).toMatchObject({ ok: false })
    expect(await find('linux-')).toMatchObject({ key: 'linux-1' })
  })
})

describe('scopes of a runner', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const job = (repository: string, ...scopes: [string, number][]) => {
    const ac = JSON.stringify(scopes.map(([Scope, Permission]) => ({ Scope, Permission })))
    return { authorization: `Bearer ${part({})}.${part({ ac, repository_id: repository })}.c2ln` }
  }
  const main = job('1', ['refs/heads/main', 3])
  const topic = job('1', ['refs/heads/main', 1], ['refs/heads/topic', 3])

  test('a branch finds its own before what the main one has, and the main one nothing of a branch', async () => {
    await save('linux-1', content(10, 1), main)
    expect(await find('x', ['linux-'], topic)).toMatchObject({ key: 'linux-1' })
    await save('linux-2', content(10, 2), topic)
    expect(await find('x', ['linux-'], topic)).toMatchObject({ key: 'linux-2' })
    expect(await find('linux-1', [], topic)).toMatchObject({ key: 'linux-1' })
    expect(await find('linux-2', [], main)).toMatchObject({ ok: false })
    expect(await find('x', ['linux-'], topic)).toMatchObject({ key: 'linux-2' })
    expect(await find('linux-1', [], job('2', ['refs/heads/main', 3]))).toMatchObject({ ok: false })
    expect(await find('linux-1')).toMatchObject({ ok: false })
  })

  test('a job that may only read is told so in words that are no fault', async () => {
    const reader = job('1', ['refs/heads/main', 1])
    for (const method of ['CreateCacheEntry', 'FinalizeCacheEntryUpload'])
      expect(await said(method, { key: 'a', version, size_bytes: '1' }, reader)).toMatchObject({
        ok: false,
        message: expect.stringMatching(/^cache write denied:/),
      })
  })
})

test('a server of several keeps no entries, and says so in words that are no fault', async () => {
  await save('a', content(100, 1))
  await restarted({ ...store, isOneOfMany: true })
  expect(await find('a')).toMatchObject({ ok: false })
  for (const method of ['CreateCacheEntry', 'FinalizeCacheEntryUpload'])
    expect(await said(method, { key: 'b', version, size_bytes: '1' })).toMatchObject({
      ok: false,
      message: expect.stringMatching(/^cache write denied: .*shares its storage/),
    })
  expect(faults).toEqual([])
})

describe('an upload in blocks', () => {
  const id = (name: string) => Buffer.from(name).toString('base64')
  const block = (url: string, name: string, bytes: Uint8Array | string) =>
    put(`${url}&comp=block&blockid=${encodeURIComponent(id(name))}`, bytes)
  const list = (url: string, names: readonly string[]) =>
    put(
      `${url}&comp=blocklist`,
      `<?xml version="1.0"?><BlockList>${names.map((name) => `<Latest>${id(name)}</Latest>`).join('')}</BlockList>`,
    )

  test('is what the list says, whatever the order in which blocks came, and any range of it can be had', async () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 30 }), { minLength: 1, maxLength: 6 })
    let run = 0
    await fc.assert(
      fc.asyncProperty(pieces, fc.nat({ max: 200 }), fc.nat({ max: 200 }), async (blocks, from, length) => {
        const key = `run-${run++}`
        const url = await uploadUrl(key)
        const order = blocks.map((_, i) => i).sort((a, b) => ((a * 7) % 5) - ((b * 7) % 5))
        await block(url, '0', 'another block of that name')
        await Promise.all(order.slice(1).map((i) => block(url, String(i), blocks[i] ?? '')))
        await block(url, String(order[0]), blocks[order[0] ?? 0] ?? '')
        if (order[0] !== 0) await block(url, '0', blocks[0] ?? '')
        await list(url, Object.keys(blocks))
        const whole = Buffer.concat(blocks)
        expect(await said('FinalizeCacheEntryUpload', { key, version, sizeBytes: whole.length })).toMatchObject({
          ok: true,
        })
        const found = await find(key)
        expect((await bytesIn(await fetch(found.url))).equals(whole)).toBe(true)
        const ranged = await fetch(found.url, { headers: { 'x-ms-range': `bytes=${from}-${from + length}` } })
        const expected = whole.subarray(from, from + length + 1)
        expect(ranged.status).toBe(expected.length === 0 ? 416 : 206)
        if (expected.length > 0) {
          expect((await bytesIn(ranged)).equals(expected)).toBe(true)
          expect(ranged.headers.get('content-range')).toBe(
            `bytes ${from}-${from + expected.length - 1}/${whole.length}`,
          )
        }
      }),
      { numRuns: 25 },
    )
  })

  test('is read in ranges across large blocks', async () => {
    const blocks = [content(2_000_000, 1), content(1_500_000, 2), content(10, 3)]
    const url = await uploadUrl('large')
    for (const [i, bytes] of blocks.entries()) expect((await block(url, `${i}`, bytes)).status).toBe(201)
    expect((await list(url, ['0', '1', '2'])).status).toBe(201)
    const whole = Buffer.concat(blocks)
    await said('FinalizeCacheEntryUpload', { key: 'large', version, size_bytes: `${whole.length}` })
    const found = await find('large')
    for (const [from, to] of [
      [1_999_990, 2_000_010],
      [0, 3_400_000],
      [1_000_000, 3_500_009],
      [3_499_999, 3_500_000],
    ] as const) {
      const answer = await fetch(found.url, { headers: { range: `bytes=${from}-${to}` } })
      expect(answer.status).toBe(206)
      expect((await bytesIn(answer)).equals(whole.subarray(from, to + 1))).toBe(true)
    }
    expect((await bytesIn(await fetch(found.url))).equals(whole)).toBe(true)
  })

  test('keeps nothing of its own once it is an entry', async () => {
    const url = await uploadUrl('a')
    await block(url, '0', 'left')
    await block(url, '1', 'over')
    await list(url, ['0', '1'])
    await said('FinalizeCacheEntryUpload', { key: 'a', version, size_bytes: '8' })
    const { actions } = await store.catalog.usage()
    expect(actions).toBe(1)
  })

  test('is refused where a block is missing or is of another upload, or the list is none', async () => {
    const url = await uploadUrl('a')
    const other = await uploadUrl('a')
    await block(other, '0', 'x')
    const answer = await list(url, ['0'])
    expect([answer.status, answer.headers.get('x-ms-error-code')]).toEqual([400, 'InvalidBlockList'])
    expect((await put(`${url}&comp=blocklist`, 'nonsense')).status).toBe(400)
    expect((await put(`${url}&comp=block`, 'x')).status).toBe(400)
    for (const name of ['', 'a'.repeat(129)])
      expect((await put(`${url}&comp=block&blockid=${name}`, 'x')).status).toBe(400)
    expect((await put(`${url}&comp=metadata`, 'x')).status).toBe(400)
  })
})

test('an entry never changes: who comes later hears that one is there', async () => {
  const first = await uploadUrl('a')
  const second = await uploadUrl('a')
  await put(first, 'first')
  await put(second, 'second')
  const one = await said('FinalizeCacheEntryUpload', { key: 'a', version, size_bytes: '5' })
  const two = await said('FinalizeCacheEntryUpload', { key: 'a', version, size_bytes: '6' })
  expect([one.ok, two.ok, one.entry_id === two.entry_id]).toEqual([true, true, true])
  expect(String(await bytesIn(await fetch((await find('a')).url)))).toBe('first')
  expect((await call('CreateCacheEntry', { key: 'a', version })).status).toBe(409)
  expect((await store.catalog.usage()).actions).toBe(1)
})

test('what was not uploaded whole is no entry', async () => {
  const url = await uploadUrl('a')
  const finalize = { key: 'a', version, size_bytes: '4' }
  expect(await said('FinalizeCacheEntryUpload', finalize)).toMatchObject({
    ok: false,
    message: expect.stringMatching('4'),
  })
  await put(url, 'five5')
  expect(await said('FinalizeCacheEntryUpload', finalize)).toMatchObject({ ok: false })
  expect(await find('a')).toMatchObject({ ok: false })
})

test('other bytes than announced are no archive, whatever came through', async () => {
  const url = new URL(await uploadUrl('a'))
  async function* body() {
    yield Buffer.from('four')
  }
  const { signal } = new AbortController()
  const request: Omit<ProtocolRequest, 'body' | 'contentLength'> = {
    ...{ method: 'PUT', path: url.pathname.slice('/actions-cache/'.length), query: url.searchParams, headers: {} },
    ...{ isEncrypted: false, access: 'none' as const, scope: { instance: '' }, signal },
  }
  for (const contentLength of [3, 5])
    expect(await actionsArchives.answer({ ...request, body: body(), contentLength }, store)).toMatchObject({
      status: 400,
    })
  expect(await said('FinalizeCacheEntryUpload', { key: 'a', version, size_bytes: '4' })).toMatchObject({ ok: false })
  expect(await actionsArchives.answer({ ...request, body: body(), contentLength: 4 }, store)).toMatchObject({
    status: 201,
  })
})

describe('an address', () => {
  test('is good for what it was given out for, as it was given out, and for an hour', async () => {
    const upload = await uploadUrl('a')
    await put(upload, 'four')
    await said('FinalizeCacheEntryUpload', { key: 'a', version, size_bytes: '4' })
    const { url } = await find('a')
    expect((await fetch(upload)).status).toBe(405)
    expect((await put(url, 'x')).status).toBe(405)
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(405)
    expect((await fetch(url.replace('/read/', '/write/'))).status).toBe(403)
    expect((await fetch(url.slice(0, url.indexOf('?')))).status).toBe(403)
    expect((await fetch(`${url.slice(0, -3)}abc`)).status).toBe(403)
    const altered = new URL(url)
    const [, , , payload = ''] = altered.pathname.split('/')
    const grant = JSON.parse(Buffer.from(payload, 'base64url').toString())
    expect(Math.abs(grant.expiresMs - Date.now() - 3_600_000)).toBeLessThan(60_000)
    const forged = Buffer.from(JSON.stringify({ ...grant, instance: 'red' })).toString('base64url')
    expect((await fetch(url.replace(payload, forged))).status).toBe(403)
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(grant.expiresMs - 1000)
    expect((await fetch(url)).status).toBe(200)
    vi.setSystemTime(grant.expiresMs)
    expect((await fetch(url)).status).toBe(403)
  })

  test('is good with every worker of a store, also where two made a key at once', async () => {
    await save('a', content(9, 9))
    const { url } = await find('a')
    await store.records.save('actions-cache', 'url-key 0', Buffer.alloc(32, 7))
    await using other = await openLocalStore({ dir })
    await restarted(other)
    const at = (address: string) => address.replace(/:\d+\//, `:${new URL(server.url).port}/`)
    expect((await fetch(at(url))).status).toBe(200)
    const later = await find('a')
    await restarted(store)
    expect((await fetch(at(later.url))).status).toBe(200)
    expect(store.records.names('actions-cache', 'url-key ')).toHaveLength(2)
  })

  test('names the host by which the client came, and its scheme', async () => {
    const proxied = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'cache.example.com, inner' }
    const answer = await said('CreateCacheEntry', { key: 'a', version }, proxied)
    expect(answer.signed_upload_url).toMatch(/^https:\/\/cache\.example\.com\/actions-cache\/write\//)
    expect(await uploadUrl('a')).toMatch(`${server.url}/actions-cache/write/`)
  })

  test('is given up where the archive has changed', async () => {
    await save('a', content(10, 1))
    const { url } = await find('a')
    const etag = (await fetch(url)).headers.get('etag') ?? ''
    for (const [match, status] of [
      [etag, 206],
      ['*', 206],
      ['"other"', 412],
    ] as const)
      expect((await fetch(url, { headers: { 'if-match': match, range: 'bytes=0-1' } })).status).toBe(status)
    const { entryDigest } = await import('./entries.ts')
    await store.actions.remove({ instance: '' }, entryDigest({ ref: '', version, key: 'a' }))
    expect((await fetch(url)).status).toBe(404)
  })
})

describe('tokens', () => {
  const READ = 'read-token-0123456789'
  const WRITE = 'write-token-0123456789'
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  beforeEach(() => restarted(store, { gate: gateOf(`read ${READ}\nwrite ${WRITE}\n`, 'tokens') }))

  test('none may nothing, one that reads may not write, and addresses need none', async () => {
    expect(await said('GetCacheEntryDownloadURL', { key: 'a', version })).toEqual({
      ok: false,
      signed_download_url: '',
      matched_key: '',
    })
    for (const method of ['CreateCacheEntry', 'FinalizeCacheEntryUpload'])
      expect(await said(method, { key: 'a', version }, bearer('some-other-token-012345'))).toMatchObject({
        ok: false,
        message: expect.stringContaining('ACTIONS_RUNTIME_TOKEN'),
      })
    expect((await call('Other', {})).status).toBe(404)
    expect(await save('a', content(10, 1), bearer(WRITE))).toMatchObject({ ok: true })
    const denied = await said('CreateCacheEntry', { key: 'b', version }, bearer(READ))
    expect(denied).toMatchObject({ ok: false, message: expect.stringMatching(/^cache write denied:/) })
    const found = await find('a', [], bearer(READ))
    expect(found).toMatchObject({ ok: true })
    expect(await bytesIn(await fetch(found.url))).toHaveLength(10)
  })
})

describe('a request that is none', () => {
  test.each([
    ['an unknown method', 'DeleteCacheEntry', {}, {}, 404, 'bad_route'],
    [
      'another content type',
      'CreateCacheEntry',
      { key: 'a', version },
      { 'content-type': 'text/plain' },
      404,
      'bad_route',
    ],
    ['no key', 'CreateCacheEntry', { version }, {}, 400, 'invalid_argument'],
    ['no version', 'CreateCacheEntry', { key: 'a' }, {}, 400, 'invalid_argument'],
    ['fields of other types', 'CreateCacheEntry', { key: 1, version }, {}, 400, 'malformed'],
    ['a key that is too long', 'CreateCacheEntry', { key: 'a'.repeat(513), version }, {}, 400, 'invalid_argument'],
    [
      'too many keys',
      'GetCacheEntryDownloadURL',
      { key: 'a', version, restoreKeys: Array(32).fill('') },
      {},
      400,
      'invalid_argument',
    ],
    ['too much', 'CreateCacheEntry', { key: 'a'.repeat(70_000), version }, {}, 400, 'malformed'],
  ])('%s', async (_name, method, message, headers, status, code) => {
    const answer = await call(method, message, headers as Record<string, string>)
    expect([answer.status, await answer.json()]).toMatchObject([status, { code }])
  })

  test('by GET', async () => {
    const answer = await fetch(`${server.url}/twirp/github.actions.results.api.v1.CacheService/CreateCacheEntry`)
    expect(answer.status).toBe(404)
  })
})

describe('a fault of ours', () => {
  const failing = async (): Promise<never> => {
    throw new Error('the disk is on fire')
  }

  test('is not ok, and nothing worse', async () => {
    const upload = await uploadUrl('b')
    await save('a', content(10, 1))
    const { url } = await find('a')
    const at = (address: string) => address.replace(/:\d+\//, `:${new URL(server.url).port}/`)
    await restarted({ ...store, actions: { get: failing, put: failing, remove: failing } })
    for (const method of ['CreateCacheEntry', 'FinalizeCacheEntryUpload', 'GetCacheEntryDownloadURL']) {
      const answer = await call(method, { key: 'a', version })
      expect([answer.status, await answer.json()]).toMatchObject([200, { ok: false }])
    }
    expect((await put(at(upload), 'x')).status).toBe(507)
    expect((await fetch(at(url))).status).toBe(404)
    expect(faults).toHaveLength(5)
  })

  test('with a small archive whose bytes are damaged is an archive that has gone', async () => {
    await save('a', content(10, 1))
    const { url } = await find('a')
    const gone = Object.assign(Object.create(store.blobs) as Served['blobs'], { read: async () => undefined })
    await restarted({ ...store, blobs: gone })
    expect((await fetch(url.replace(/:\d+\//, `:${new URL(server.url).port}/`))).status).toBe(404)
  })
})
