import { mkdtempSync, rmSync } from 'node:fs'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../digest/sha256.ts'
import { content } from '../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../store/contracts.ts'
import { type LocalStore, openLocalStore } from '../store/local/local-store.ts'
import { gateOf, OPEN } from './access.ts'
import type { Served } from './protocol.ts'
import { type RunningServer, type ServeOptions, serve } from './serve.ts'
import type { AccessEntry } from './watcher.ts'

let dir: string
let store: LocalStore
let server: RunningServer
let entries: AccessEntry[]
let faults: string[]

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'recue-serve-'))
  store = await openLocalStore({ dir })
  await started(store)
})
afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

async function started(served: Served, options: Partial<ServeOptions> = {}): Promise<void> {
  entries = []
  faults = []
  server = await serve(served, {
    http: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    gate: OPEN,
    onRequest: (entry) => entries.push(entry),
    onFault: ({ protocol, error }) => faults.push(`${protocol}: ${(error as Error).message}`),
    ...options,
  })
}

async function restarted(served: Served, options: Partial<ServeOptions> = {}): Promise<void> {
  await server[Symbol.asyncDispose]()
  await started(served, options)
}

const ask = (path: string, init: RequestInit = {}) => fetch(server.url + path, init)
const put = (path: string, bytes: Uint8Array, headers: Record<string, string> = {}) =>
  ask(path, { method: 'PUT', body: Buffer.from(bytes), headers })
const bytesIn = async (answer: Response) => Buffer.from(await answer.arrayBuffer())

describe.each([
  ['turborepo', '/v8/artifacts/0123456789abcdef', 202],
  ['nx', '/v1/cache/13551001528064948760', 200],
  ['gradle', '/gradle/0123456789abcdef0123456789abcdef', 200],
  ['ccache, subdirs', '/ccache/8d/9bd84f0551br9cst47htk0hov55vde0', 201],
  ['ccache, flat', '/ccache/8d9bd84f0551br9cst47htk0hov55vde0', 201],
  ['ccache, bazel', `/ccache/ac/${'ab'.repeat(32)}`, 201],
  ['sccache', `/sccache/a/b/c/${'abc'.repeat(20)}`, 201],
  ['s3', `/s3/prefix/a/b/c/${'abc'.repeat(20)}`, 200],
  ['maven', '/maven/v1.1/org.group/an-artifact/0123456789abcdef/an-artifact-1.2.jar', 201],
  ['rush', `/rush/${'ab'.repeat(20)}`, 200],
])('an artifact of %s', (_name, path, done) => {
  test.each([0, 1, 5_000, 3_000_000])('of %i bytes comes back as it was', async (size) => {
    const bytes = content(size, size)
    expect((await ask(path)).status).toBe(404)
    expect((await put(path, bytes)).status).toBe(done)
    const answer = await ask(path)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe(String(size))
    expect(answer.headers.get('content-encoding')).toBeNull()
    expect((await bytesIn(answer)).equals(Buffer.from(bytes))).toBe(true)
  })

  test('is replaced by a later one, and another instance has its own', async () => {
    await put(path, content(100, 1))
    await put(path, content(200, 2))
    expect((await bytesIn(await ask(path))).equals(Buffer.from(content(200, 2)))).toBe(true)
    expect((await ask(`/team${path}`)).status).toBe(404)
    await put(`/team${path}`, content(300, 3))
    expect(await bytesIn(await ask(`/team${path}`))).toHaveLength(300)
    expect(await bytesIn(await ask(path))).toHaveLength(200)
  })
})

describe('an upload that does not end', () => {
  test('leaves nothing behind', async () => {
    const { port } = new URL(server.url)
    const socket = connect(Number(port), '127.0.0.1')
    const head = 'PUT /v1/cache/7 HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n'
    await new Promise((resolve) => socket.write(`${head}only this`, resolve))
    // The server has come to it when it answers somebody who came later.
    await ask('/readyz')
    entries.length = 0
    await until(
      () => entries.length > 0,
      () => socket.destroy(),
    )
    expect(entries).toMatchObject([{ status: 499, method: 'PUT', path: '/v1/cache/7' }])
    expect(faults).toEqual([])
    expect((await ask('/v1/cache/7')).status).toBe(404)
    expect((await store.catalog.usage()).blobs).toBe(0)
  })

  test('of a large artifact neither', async () => {
    const upload = uploadTo('/v1/cache/8', { 'content-length': '5000000' })
    upload.write(content(2_000_000, 1))
    await new Promise((resolve) => upload.write(content(1000, 2), resolve))
    upload.destroy()
    upload.on('error', () => undefined)
    // Another, whole one after it, so that the first has been dealt with.
    await put('/v1/cache/9', content(10, 1))
    expect((await ask('/v1/cache/8')).status).toBe(404)
  })
})

test('who waits for 100 Continue is told to go on, or at once that it may not', async () => {
  await restarted(store, { gate: gateOf(`read ${READ}\nwrite ${WRITE}\n`, 'tokens') })
  const go = uploadTo('/gradle/a', { expect: '100-continue', 'content-length': '4', authorization: `Bearer ${WRITE}` })
  await new Promise((resolve) => go.once('continue', resolve))
  go.end('done')
  expect((await answerOf(go)).statusCode).toBe(200)
  const stay = uploadTo('/gradle/b', {
    expect: '100-continue',
    'content-length': '4000000000',
    authorization: `Bearer ${READ}`,
  })
  let continued = false
  stay.once('continue', () => {
    continued = true
  })
  expect((await answerOf(stay)).statusCode).toBe(413)
  expect(continued).toBe(false)
  stay.destroy()
  // However little it would be: it has not been sent.
  const small = uploadTo('/gradle/c', {
    expect: '100-continue',
    'content-length': '4',
    authorization: `Bearer ${READ}`,
  })
  expect((await answerOf(small)).headers.connection).toBe('close')
  small.destroy()
})

test('a refused upload is taken in where it is small, so that the connection lives on, and cut off where it is large', async () => {
  await restarted(store, { gate: gateOf(`read ${READ}`, 'tokens') })
  for (const [size, connection] of [
    [900_000, 'keep-alive'],
    [1_100_000, 'close'],
  ] as const) {
    const upload = uploadTo('/v1/cache/1', { 'content-length': String(size), authorization: `Bearer ${READ}` })
    upload.on('error', () => undefined)
    upload.end(Buffer.alloc(size))
    const answer = await answerOf(upload)
    expect([answer.statusCode, answer.headers.connection]).toEqual([403, connection])
    upload.destroy()
  }
})

const READ = 'read-token-0123456789'
const WRITE = 'write-token-0123456789'

describe('tokens', () => {
  beforeEach(() => restarted(store, { gate: gateOf(`# ours\nread ${READ}\nwrite ${WRITE}\n`, 'tokens') }))
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const basic = (token: string) => ({ authorization: `Basic ${Buffer.from(`anybody:${token}`).toString('base64')}` })
  const paths = {
    turborepo: '/v8/artifacts/a',
    nx: '/v1/cache/1',
    gradle: '/gradle/a',
    ccache: '/ccache/a',
    sccache: '/sccache/a',
    maven: '/maven/a',
    rush: '/rush/a',
    bazel: `/cas/${digestOf(content(9, 9)).hash}`,
  }

  test.each(Object.entries(paths))('%s: none may nothing, one that reads may not write', async (name, path) => {
    const bytes = content(9, 9)
    // Those whose builds would end at a 401.
    const missed: Record<string, readonly number[]> = { nx: [404, 403], sccache: [404, 403], rush: [404, 200] }
    const [unread = 0, unwritten = 0] = missed[name] ?? [401, 401]
    expect((await put(path, bytes)).status).toBe(unwritten)
    const refused = (await put(path, bytes, bearer(READ))).status
    const told = { turborepo: 403, nx: 403, gradle: 413, ccache: 200, sccache: 403, maven: 403, rush: 200, bazel: 403 }
    expect(refused).toBe(told[name as keyof typeof told])
    expect((await ask(path, { headers: bearer(READ) })).status).toBe(404)
    expect((await put(path, bytes, basic(WRITE))).ok).toBe(true)
    expect(await bytesIn(await ask(path, { headers: basic(READ) }))).toHaveLength(9)
    expect((await ask(path)).status).toBe(unread)
    expect((await ask(path, { headers: bearer('some-other-token-012345') })).status).toBe(unread)
  })

  test('a preflight needs none, since a browser sends none', async () => {
    const answer = await ask('/v8/artifacts/a', { method: 'OPTIONS' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('access-control-allow-headers')).toContain('Authorization')
  })

  test('whoever watches needs none', async () => {
    expect(await (await ask('/healthz')).text()).toBe('ok\n')
    expect((await ask('/readyz')).status).toBe(200)
  })
})

describe('Turborepo', () => {
  const path = '/v8/artifacts/0123456789abcdef'

  test('gets back what it said of an artifact, byte for byte', async () => {
    const headers = {
      'x-artifact-duration': '1234',
      'x-artifact-tag': 'Tag+/=',
      'x-artifact-sha': 'ab',
      'x-artifact-dirty-hash': 'cd',
    }
    await put(path, content(10, 1), headers)
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(path, { method })
      for (const [name, value] of Object.entries(headers)) expect(answer.headers.get(name)).toBe(value)
    }
    expect(await bytesIn(await ask(path, { method: 'HEAD' }))).toHaveLength(0)
  })

  test('asks for its status, for many at once, and tells of events', async () => {
    await put(path, content(10, 1), { 'x-artifact-duration': '1234' })
    expect(await (await ask('/v8/artifacts/status')).json()).toEqual({ status: 'enabled' })
    const post = (to: string, body: string) => ask(to, { method: 'POST', body })
    const found = await post('/v8/artifacts', JSON.stringify({ hashes: ['0123456789abcdef', 'none'] }))
    expect(await found.json()).toEqual({ '0123456789abcdef': { size: 10, taskDurationMs: 1234 }, none: null })
    expect((await post('/v8/artifacts', 'nonsense')).status).toBe(400)
    expect((await post('/v8/artifacts/events', '[]')).status).toBe(200)
  })

  test('keeps the artifacts of teams apart, by name and by number', async () => {
    await put(`${path}?slug=red`, content(10, 1))
    for (const other of ['', '?slug=blue', '?teamId=red', '?teamId=red&slug=red'])
      expect((await ask(path + other)).status).toBe(404)
    expect((await ask(`${path}?slug=red`)).status).toBe(200)
  })

  test('hears of an error under the name it looks for', async () => {
    await restarted(store, { gate: gateOf(`read ${READ}`, 'tokens') })
    const answer = await put(path, content(10, 1), { authorization: `Bearer ${READ}` })
    expect(await answer.json()).toMatchObject({ error: { code: 'forbidden' } })
  })
})

describe('Bazel', () => {
  const bytes = content(5000, 1)
  const { hash } = digestOf(bytes)
  const action = 'ab'.repeat(32)

  test('puts and gets blobs by their hash, and no others', async () => {
    expect((await put(`/cas/${hash}`, bytes)).status).toBe(200)
    expect((await bytesIn(await ask(`/cas/${hash}`))).equals(Buffer.from(bytes))).toBe(true)
    expect((await put(`/cas/${digestOf(content(9, 9)).hash}`, bytes)).status).toBe(400)
    expect((await ask(`/cas/${digestOf(content(9, 9)).hash}`)).status).toBe(404)
    for (const name of ['short', hash.toUpperCase(), `${hash}/x`, '..%2FFORMAT'])
      expect((await ask(`/cas/${name}`)).status).toBe(400)
  })

  test('gets an action result only with all its blobs', async () => {
    const { ActionResult } = await import('../proto/build/bazel/remote/execution/v2/remote_execution.ts')
    const nothing = ActionResult.decode(new Uint8Array(0))
    const outputFiles = [{ path: 'o', digest: digestOf(bytes), isExecutable: false, contents: Buffer.alloc(0) }]
    const result = ActionResult.encode({ ...nothing, outputFiles }).finish()
    expect((await ask(`/ac/${action}`)).status).toBe(404)
    expect((await put(`/ac/${action}`, result)).status).toBe(400)
    await put(`/cas/${hash}`, bytes)
    expect((await put(`/ac/${action}`, result)).status).toBe(200)
    expect((await bytesIn(await ask(`/ac/${action}`))).equals(Buffer.from(result))).toBe(true)
    expect((await put(`/ac/${action}`, Buffer.from('\xff\xff nonsense'))).status).toBe(400)
    expect((await ask(`/team/ac/${action}`)).status).toBe(404)
  })
})

describe('a fault of ours', () => {
  const broken = new Error('the disk is on fire')
  const failing = (): never => {
    throw broken
  }
  const reads = { get: async () => failing(), put: async () => failing(), remove: async () => failing() }

  test.each([
    ['/v8/artifacts/a', 404, 202],
    ['/v1/cache/1', 404, 403],
    ['/gradle/a', 404, 413],
    ['/ccache/a', 404, 200],
    ['/sccache/a', 404, 503],
    ['/maven/a', 404, 503],
    ['/s3/a', 404, 503],
    ['/rush/a', 404, 200],
    [`/ac/${'ab'.repeat(32)}`, 404, 503],
  ])('at %s is told as a miss, and to us as what it was', async (path, read, write) => {
    await restarted({ ...store, actions: reads })
    expect((await ask(path)).status).toBe(read)
    expect((await put(path, new Uint8Array(0))).status).toBe(write)
    expect(faults).toHaveLength(2)
    expect(faults[0]).toContain('the disk is on fire')
  })

  test('while bytes go out cuts the connection', async () => {
    const bytes = content(3_000_000, 1)
    for (const path of ['/ccache/1', ...CHECKED_FIRST]) await put(path, bytes)
    for (const end of [endingEarly, endingSilently]) {
      const blobs = readingBy(async (...args) => {
        const whole = await store.blobs.read(...args)
        return (
          whole && {
            [Symbol.asyncIterator]: () => end(whole),
            [Symbol.asyncDispose]: () => whole[Symbol.asyncDispose](),
          }
        )
      })
      await restarted({ ...store, blobs })
      await expect(ask('/ccache/1').then(bytesIn)).rejects.toThrow()
      for (const path of CHECKED_FIRST) expect((await ask(path)).status).toBe(404)
    }
    await restarted(store)
    for (const path of CHECKED_FIRST) expect((await bytesIn(await ask(path))).equals(Buffer.from(bytes))).toBe(true)
  })

  /** Tools whose builds would end at a body that breaks off. */
  const CHECKED_FIRST = ['/v1/cache/1', '/rush/1']
})

test('a name that is too long for a key keeps nothing', async () => {
  expect((await put(`/v1/cache/${'7'.repeat(1900)}`, content(1, 1))).status).toBe(200)
  expect((await put(`/v1/cache/${'7'.repeat(2000)}`, content(1, 1))).status).toBe(404)
})

test('a look at a large artifact holds no file', async () => {
  await put('/ccache/a', content(3_000_000, 1))
  let disposed = 0
  const blobs = readingBy(async (...args) => {
    const whole = await store.blobs.read(...args)
    return (
      whole && {
        [Symbol.asyncIterator]: () => whole[Symbol.asyncIterator](),
        [Symbol.asyncDispose]: async () => {
          disposed++
          await whole[Symbol.asyncDispose]()
        },
      }
    )
  })
  await restarted({ ...store, blobs })
  const answer = await ask('/ccache/a', { method: 'HEAD' })
  expect(answer.headers.get('content-length')).toBe('3000000')
  expect(disposed).toBe(1)
})

test('a request for nothing that is here', async () => {
  for (const path of ['/', '/v9/artifacts/a', '/a/b/v1/cache/1', '/v1/cachex/1', '/v1/cache/%ff', '/v1/cache/%00'])
    expect((await ask(path)).status).toBe(404)
  expect((await ask('/v1/cache/1', { method: 'DELETE' })).status).toBe(404)
  expect((await ask('/v8/artifacts/1', { method: 'PATCH' })).status).toBe(405)
})

test.each(['//', 'http://[', '*', 'http://elsewhere/nothing'])(
  'a target like %s is nothing that is here',
  async (target) => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    expect(String(await buffer(socket))).toMatch(/^HTTP\/1\.1 404 /)
  },
)

test('a line for each request, with no token in it', async () => {
  await put('/team/v1/cache/1', content(70, 1), { authorization: `Bearer ${WRITE}` })
  await bytesIn(await ask('/team/v1/cache/1'))
  expect(entries).toMatchObject([
    { protocol: 'nx', instance: 'team', method: 'PUT', status: 200, receivedBytes: 70, sentBytes: 0 },
    { protocol: 'nx', instance: 'team', method: 'GET', status: 200, receivedBytes: 0, sentBytes: 70 },
  ])
  expect(JSON.stringify(entries)).not.toContain(WRITE)
})

test('at its end, what is under way finishes, and nothing new is taken', async () => {
  const upload = uploadTo('/v1/cache/1', { 'content-length': '8' })
  await new Promise((resolve) => upload.write('half', resolve))
  await until(async () => (await ask('/readyz')).status === 200)
  const { url } = server
  const ended = server[Symbol.asyncDispose]()
  await expect(fetch(`${url}/readyz`)).rejects.toThrow()
  upload.end('half')
  const { statusCode, headers } = await answerOf(upload)
  expect([statusCode, headers.connection]).toEqual([200, 'close'])
  await ended
  expect(await store.actions.get(scope, (await import('./artifacts.ts')).artifactKey('nx', '1'))).toMatchObject({
    kind: 'hit',
  })
  await started(store)
})

test('at its end, who never finishes is cut off in time', async () => {
  await restarted(store, { graceMs: 50 })
  const upload = uploadTo('/v1/cache/1', { 'content-length': '8' })
  const failed = new Promise((resolve) => upload.once('error', resolve))
  await new Promise((resolve) => upload.write('half', resolve))
  await server[Symbol.asyncDispose]()
  expect(await failed).toBeInstanceOf(Error)
  await started(store)
})

test('on a Unix socket', async () => {
  const path = join(dir, 'recue.sock')
  await restarted(store, { http: { kind: 'unix', path } })
  expect(server.url).toBe(`unix:${path}`)
  const answer = await answerOf(httpRequest({ socketPath: path, path: '/healthz' }).end())
  expect(String(await buffer(answer))).toBe('ok\n')
})

test('an address that is taken is named', async () => {
  const { port } = new URL(server.url)
  await expect(
    serve(store, { http: { kind: 'tcp', host: '127.0.0.1', port: Number(port) }, gate: OPEN }),
  ).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringContaining(`127.0.0.1:${port}: something else listens there`),
  })
})

function uploadTo(path: string, headers: Record<string, string>): ClientRequest {
  const { port } = new URL(server.url)
  return httpRequest({ host: '127.0.0.1', port, path, method: 'PUT', headers })
}

function answerOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => request.once('response', resolve).once('error', reject))
}

/** The store, with blobs that are read in another way. */
function readingBy(read: Served['blobs']['read']): Served['blobs'] {
  return {
    missing: (...args) => store.blobs.missing(...args),
    readBatch: (...args) => store.blobs.readBatch(...args),
    write: (...args) => store.blobs.write(...args),
    ingest: (...args) => store.blobs.ingest(...args),
    read,
  }
}

async function* endingSilently(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    yield chunk
    return
  }
}

async function* endingEarly(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    yield chunk
    throw new Error('the rest is damaged')
  }
}

/** Asks again and again; `each` is done between. */
async function until(isSo: () => boolean | Promise<boolean>, each: () => void = () => undefined): Promise<void> {
  while (!(await isSo())) {
    each()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
