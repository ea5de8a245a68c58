import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunningServer, ServeOptions } from '../serve.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'
import type { AccessEntry } from '../watcher.ts'
import { DEFAULT_LIMITS } from './connections.ts'
import {
  Flag,
  FrameType,
  frame,
  number,
  PREFACE,
  rawConnection,
  requestHeaders,
  SETTINGS,
} from './raw-http2.fixture.ts'

let dir: string
let server: RunningServer
let entries: AccessEntry[]
let faults: unknown[]
const sessions: ClientHttp2Session[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-listen-'))
})
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy()
  await server[Symbol.asyncDispose]()
  rmSync(dir, { recursive: true, force: true })
})

async function started(options: Partial<ServeOptions> = {}): Promise<number> {
  entries = []
  faults = []
  server = await temporaryServer({
    onRequest: (entry) => entries.push(entry),
    onFault: (fault) => faults.push(fault),
    ...options,
  })
  return server.url.startsWith('http') ? portOf(server.url) : 0
}

const portOf = (url: string) => Number(new URL(url).port)

function session(url: string): ClientHttp2Session {
  const opened = connectHttp2(url.replace(/^grpc/, 'http'))
  opened.on('error', () => undefined)
  sessions.push(opened)
  return opened
}

/** Status and content of what HTTP/2 answers. */
async function ask(client: ClientHttp2Session, headers: Record<string, string>, body?: Uint8Array) {
  const stream = client.request(headers)
  stream.end(body)
  const [answer] = (await once(stream, 'response')) as [Record<string, string>]
  return { status: Number(answer[':status']), headers: answer, body: await buffer(stream) }
}

const CAPABILITIES = {
  ':method': 'POST',
  ':path': '/build.bazel.remote.execution.v2.Capabilities/GetCapabilities',
  'content-type': 'application/grpc',
  te: 'trailers',
}
const EMPTY_MESSAGE = Buffer.alloc(5)
const LOCAL = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const

describe('at one address', () => {
  test('HTTP/1.1, the same protocols over HTTP/2, and gRPC', async () => {
    await started()
    expect(server.grpcUrl).toBe(server.url.replace('http', 'grpc'))
    const client = session(server.url)
    const bytes = Buffer.alloc(3_000_000, 'recue ')
    expect(await ask(client, { ':method': 'PUT', ':path': '/v1/cache/1' }, bytes)).toMatchObject({ status: 200 })
    expect((await ask(client, { ':path': '/v1/cache/1' })).body.equals(bytes)).toBe(true)
    expect(Buffer.from(await (await fetch(`${server.url}/v1/cache/1`)).arrayBuffer()).equals(bytes)).toBe(true)
    expect(await ask(client, { ':method': 'HEAD', ':path': '/ccache/1' })).toMatchObject({ status: 404 })
    const told = await ask(client, CAPABILITIES, EMPTY_MESSAGE)
    expect([told.status, told.headers['content-type']]).toEqual([200, 'application/grpc'])
    expect(told.body.length).toBeGreaterThan(5)
    expect(entries.map(({ protocol, status }) => [protocol, status])).toEqual([
      ['nx', 200],
      ['nx', 200],
      ['nx', 200],
      ['ccache', 404],
      ['grpc', 0],
    ])
  })

  test.each([
    ['byte by byte', 1],
    ['two bytes at a time', 2],
  ])('the first bytes count also when they come %s', async (_how, step) => {
    const port = await started()
    for (const [sent, expected] of [
      ['PUT /v1/cache/9 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc', 'HTTP/1.1 200 OK'],
      ['PROPFIND / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 'HTTP/1.1 404'],
    ] as const) {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      await inSteps(socket, Buffer.from(sent), step)
      expect(await text(socket)).toContain(expected)
    }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await inSteps(socket, Buffer.concat([PREFACE, SETTINGS]), step)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer[3]).toBe(FrameType.settings)
    socket.destroy()
  })

  test('what is neither is told so, and closed', async () => {
    const port = await started()
    for (const nonsense of [
      'PRI / HTTP/9\r\n\r\n',
      'nonsense\r\n\r\n',
      '\u0016\u0003\u0001\u0002\u0000\u0001',
      '\n\n\n\u0000',
    ]) {
      const socket = connect(port, '127.0.0.1')
      socket.write(nonsense)
      expect(await text(socket).catch(() => '')).not.toContain('200 OK')
    }
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  })

  test('a greeting that does not end holds no connection; one that has ended does', async () => {
    const port = await started({ limits: { ...DEFAULT_LIMITS, firstRequestMs: 60 } })
    const greeted = await rawConnection(port)
    const cutOff = connect(port, '127.0.0.1')
    cutOff.write('PRI * HTTP/2.0')
    cutOff.resume()
    await once(cutOff, 'close')
    greeted.socket.write(frame(FrameType.ping, 0, 0, Buffer.alloc(8)))
    expect(await greeted.frameOf(FrameType.ping)).toBeDefined()
    greeted.socket.destroy()
  })

  test('who says nothing and goes away leaves nothing', async () => {
    const port = await started()
    for (const sent of ['', 'P', 'PRI * HTTP/2.0\r\n\r\n']) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.end(sent)
      socket.resume()
      await once(socket, 'close')
    }
    const ended = server[Symbol.asyncDispose]()
    await ended
    await started()
  })
})

describe('an upload over HTTP/2 that does not end', () => {
  const part = (path: string, more: Record<string, string> = {}) =>
    Buffer.concat([
      frame(FrameType.headers, Flag.endHeaders, 1, requestHeaders('PUT', path, more)),
      frame(FrameType.data, 0, 1, Buffer.from('part')),
    ])

  test.each([
    ['is reset as cancelled', frame(FrameType.reset, 0, 1, number(8)), {}],
    ['is reset without an error', frame(FrameType.reset, 0, 1, number(0)), {}],
    ['ends before the announced length', frame(FrameType.data, Flag.endStream, 1), { 'content-length': '10' }],
    [
      'ends after the announced length',
      frame(FrameType.data, Flag.endStream, 1, Buffer.from('x')),
      { 'content-length': '4' },
    ],
  ])('and %s leaves nothing', async (_how, last, more) => {
    const port = await started()
    const raw = await rawConnection(port)
    raw.socket.write(Buffer.concat([part('/v1/cache/1', more), last]))
    raw.socket.write(frame(FrameType.ping, 0, 0, Buffer.alloc(8)))
    await raw.frameOf(FrameType.ping)
    raw.socket.destroy()
    expect((await fetch(`${server.url}/v1/cache/1`)).status).toBe(404)
    await until(() => entries.length === 2)
    expect(entries.find(({ method }) => method === 'PUT')).toMatchObject({ status: 499, path: '/v1/cache/1' })
    expect(faults).toEqual([])
  })

  test('and whose connection is cut leaves nothing', async () => {
    const port = await started()
    const raw = await rawConnection(port)
    raw.socket.write(part('/v1/cache/1'))
    raw.socket.write(frame(FrameType.ping, 0, 0, Buffer.alloc(8)))
    await raw.frameOf(FrameType.ping)
    raw.socket.destroy()
    await until(() => entries.length === 1)
    expect(entries).toMatchObject([{ status: 499 }])
    expect((await fetch(`${server.url}/v1/cache/1`)).status).toBe(404)
  })
})

test('an upload over HTTP/2 that nobody reads is answered, and holds up no other', async () => {
  await started()
  const client = session(server.url)
  const upload = client.request({ ':method': 'PUT', ':path': '/nowhere' })
  const over = once(upload, 'close')
  upload.end(Buffer.alloc(5_000_000))
  expect((await once(upload, 'response'))[0]).toMatchObject({ ':status': 404 })
  upload.resume()
  await over
  expect((await ask(client, { ':path': '/healthz' })).status).toBe(200)
})

test('with two addresses each speaks its own, and says of the other that it is not there', async () => {
  await started({ grpc: LOCAL })
  expect(portOf(server.grpcUrl.replace('grpc', 'http'))).not.toBe(portOf(server.url))
  const [http, grpc] = [session(server.url), session(server.grpcUrl)]
  expect((await ask(grpc, CAPABILITIES, EMPTY_MESSAGE)).headers['content-type']).toBe('application/grpc')
  expect((await ask(http, CAPABILITIES, EMPTY_MESSAGE)).headers['grpc-status']).toBe('12')
  expect((await ask(http, { ':path': '/v8/artifacts/status' })).status).toBe(200)
  expect((await ask(grpc, { ':path': '/v8/artifacts/status' })).status).toBe(404)
  const { origin } = new URL(server.grpcUrl.replace('grpc', 'http'))
  expect((await fetch(`${origin}/v8/artifacts/status`)).status).toBe(404)
  expect((await fetch(`${origin}/readyz`)).status).toBe(200)
})

describe('a connection that does nothing', () => {
  test.each(['', 'P', 'GET /healthz HTTP/1.1\r\nhost: ', 'POST /x HTTP/1.1\r\n'])(
    'but say %j is closed',
    async (sent) => {
      const port = await started({ limits: { ...DEFAULT_LIMITS, firstRequestMs: 30 } })
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(sent)
      socket.resume()
      await new Promise((resolve) => socket.once('close', resolve))
    },
  )

  test('after it was answered is closed, over HTTP/2 with a goodbye', async () => {
    const port = await started({ limits: { ...DEFAULT_LIMITS, idleMs: 30 } })
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(await text(socket)).toContain('200 OK')
    const client = session(server.url)
    const [[code]] = await Promise.all([once(client, 'goaway'), ask(client, { ':path': '/healthz' })])
    expect(code).toBe(0)
  })

  test('within a request is closed', async () => {
    const port = await started({ limits: { ...DEFAULT_LIMITS, stalledMs: 30 } })
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write('PUT /v1/cache/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc')
    socket.resume()
    await new Promise((resolve) => socket.once('close', resolve))
    const client = session(server.url)
    const upload = client.request({ ':method': 'PUT', ':path': '/v1/cache/1' })
    upload.on('error', () => undefined)
    await new Promise((resolve) => upload.write('half', resolve))
    expect((await ask(client, { ':path': '/healthz' })).status).toBe(200)
    // Its runtime answers pings, so that it lives on; one that cannot does not.
    const raw = await rawConnection(port)
    raw.socket.write(frame(FrameType.headers, Flag.endHeaders, 1, requestHeaders('PUT', '/v1/cache/1')))
    expect(await raw.frameOf(FrameType.ping)).toBeDefined()
    await raw.closed
    expect(client.closed).toBe(false)
  })
})

describe('at its end', () => {
  test('what is under way over HTTP/2 finishes, and nothing new is taken', async () => {
    await started()
    const client = session(server.url)
    const upload = client.request({ ':method': 'PUT', ':path': '/v1/cache/1' })
    await new Promise((resolve) => upload.write('half', resolve))
    const idle = session(server.url)
    expect((await ask(idle, { ':path': '/readyz' })).status).toBe(200)
    const goodbyes = Promise.all([once(client, 'goaway'), once(idle, 'close')])
    const ended = server[Symbol.asyncDispose]()
    const [[code]] = await goodbyes
    expect(code).toBe(0)
    await expect(ask(client, { ':path': '/readyz' })).rejects.toThrow()
    await expect(fetch(server.url)).rejects.toThrow()
    upload.end('half')
    const [answer] = (await once(upload, 'response')) as [Record<string, string>]
    expect(answer[':status']).toBe(200)
    upload.resume()
    await ended
    await started()
  })

  test('who never finishes over HTTP/2 is cut off in time', async () => {
    await started({ graceMs: 50 })
    const client = session(server.url)
    const upload = client.request({ ':method': 'PUT', ':path': '/v1/cache/1' })
    upload.on('error', () => undefined)
    await new Promise((resolve) => upload.write('half', resolve))
    expect((await ask(client, { ':path': '/readyz' })).status).toBe(200)
    const closed = once(client, 'close')
    await server[Symbol.asyncDispose]()
    await closed
    await started()
  })

  test('who watches its health is told, and holds nothing up', async () => {
    await started({ graceMs: 600_000 })
    const client = session(server.grpcUrl)
    const watch = client.request({ ...CAPABILITIES, ':path': '/grpc.health.v1.Health/Watch' })
    watch.end(EMPTY_MESSAGE)
    const statuses: number[] = []
    watch.on('data', (bytes: Buffer) => statuses.push(...bytes.subarray(6)))
    await once(watch, 'data')
    const ended = server[Symbol.asyncDispose]()
    await once(watch, 'end')
    // A message of gRPC each: status (field 1) SERVING, then NOT_SERVING.
    expect(statuses.filter((byte) => byte === 1 || byte === 2)).toEqual([1, 2])
    await ended
    await started()
  })

  test('a kept-alive connection of HTTP/1.1 is closed, and one that is answered is told so', async () => {
    const port = await started()
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n')
    const [first] = (await once(socket, 'data')) as [Buffer]
    expect(String(first)).toContain('keep-alive')
    const upload = request({
      port,
      host: '127.0.0.1',
      method: 'PUT',
      path: '/v1/cache/1',
      headers: { 'content-length': 2 },
    })
    await new Promise((resolve) => upload.write('a', resolve))
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    const closed = once(socket, 'close')
    const ended = server[Symbol.asyncDispose]()
    await closed
    upload.end('b')
    const [answer] = (await once(upload, 'response')) as [import('node:http').IncomingMessage]
    expect(answer.headers.connection).toBe('close')
    answer.resume()
    await ended
    await started()
  })
})

describe('a Unix socket', () => {
  const get = (socketPath: string, path: string) =>
    new Promise<number | undefined>((resolve, reject) =>
      request({ socketPath, path }, (answer) => resolve(answer.resume().statusCode))
        .once('error', reject)
        .end(),
    )

  test('speaks all protocols too, is for its owner alone, and is gone at the end', async () => {
    const path = join(dir, 'recue.sock')
    await started({ http: { kind: 'unix', path } })
    expect([server.url, server.grpcUrl]).toEqual([`unix:${path}`, `unix:${path}`])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(await get(path, '/healthz')).toBe(200)
    const client = connectHttp2('http://localhost', { createConnection: () => connect(path) })
    sessions.push(client)
    expect((await ask(client, CAPABILITIES, EMPTY_MESSAGE)).headers['content-type']).toBe('application/grpc')
    await server[Symbol.asyncDispose]()
    expect(existsSync(path)).toBe(false)
    await started()
  })

  test('that a killed server left behind is replaced', async () => {
    const path = join(dir, 'recue.sock')
    const { spawnSync } = await import('node:child_process')
    const leave = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', leave])
    expect(statSync(path).isSocket()).toBe(true)
    await started({ http: { kind: 'unix', path } })
    expect(await get(path, '/healthz')).toBe(200)
  })

  test('at which somebody listens, and a file that is none, are left alone', async () => {
    await started()
    const path = join(dir, 'live.sock')
    const live = createServer().listen(path)
    await once(live, 'listening')
    const file = join(dir, 'file')
    writeFileSync(file, 'precious')
    for (const taken of [path, file])
      await expect(temporaryServer({ http: { kind: 'unix', path: taken } })).rejects.toMatchObject({
        code: 'usage',
        message: `Cannot listen on ${taken}: something else listens there.`,
      })
    expect([statSync(path).isSocket(), statSync(file).size]).toEqual([true, 8])
    live.close()
  })
})

test('an address that cannot be had leaves the other one free', async () => {
  await started()
  const [http, taken] = [{ kind: 'unix', path: join(dir, 'a.sock') } as const, portOf(server.url)]
  await expect(temporaryServer({ http, grpc: { ...LOCAL, port: taken } })).rejects.toMatchObject({ code: 'usage' })
  expect(existsSync(http.path)).toBe(false)
})

/** Each piece by itself, as far as the system lets it. */
async function inSteps(socket: Socket, bytes: Buffer, step: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += step) {
    await new Promise((resolve) => socket.write(bytes.subarray(at, at + step), resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}
