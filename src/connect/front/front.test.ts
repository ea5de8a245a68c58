import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { gateOf } from '../../server/access.ts'
import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import type { AccessEntry } from '../../server/watcher.ts'
import { content } from '../../store/content.fixture.ts'
import { blackHole, faultServer, nowhere } from '../fault-server.fixture.ts'
import { parseServerAddress } from '../server-address.ts'
import { type FrontOptions, openFront, type RunningFront } from './front.ts'

const TOKEN = 'a-token-of-the-tests-0123'
const NX = '/v1/cache/13551001528064948760'

let used = new AsyncDisposableStack()
afterEach(async () => {
  await used.disposeAsync()
  used = new AsyncDisposableStack()
})

type Changes = { readonly isOpen: boolean; readonly why: string | undefined }[]

async function frontTo(
  url: string,
  { token, instance, ...options }: Partial<FrontOptions> & { token?: string; instance?: string } = {},
): Promise<RunningFront & { readonly changes: Changes }> {
  const changes: Changes = []
  const front = await openFront({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    server: parseServerAddress(url, { ...(token && { token }), ...(instance && { instance }) }),
    pauseMs: 3_600_000,
    onChange: (change) => changes.push(change),
    ...options,
  })
  used.use(front)
  return { ...front, changes }
}

const put = (url: string, bytes: Uint8Array) => fetch(url, { method: 'PUT', body: Buffer.from(bytes) })
const bytesIn = async (answer: Response) => Buffer.from(await answer.arrayBuffer())

/** Files of this process that have no name any more. */
function openSpools(): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return ''
      }
    })
    .filter((path) => path.includes('/spool'))
}

describe('a server that is well', () => {
  test.each([0, 1, 5_000, 3_000_000])('gives back %i bytes as they were, to a tool without a token', async (size) => {
    const server = used.use(await temporaryServer({ gate: gateOf(`write ${TOKEN}\n`, 'tokens') }))
    const front = await frontTo(server.url, { token: TOKEN })
    const bytes = Buffer.from(content(size, size))
    expect((await fetch(front.url + NX)).status).toBe(404)
    expect((await put(front.url + NX, bytes)).status).toBe(200)
    const answer = await fetch(front.url + NX)
    expect(answer.headers.get('content-length')).toBe(String(size))
    expect((await bytesIn(answer)).equals(bytes)).toBe(true)
    expect(front.changes).toEqual([])
  })

  test.skipIf(!existsSync('/proc/self/fd'))('holds nothing open of what was read, or left half read', async () => {
    const server = used.use(await temporaryServer())
    const front = await frontTo(server.url)
    await put(front.url + NX, content(3_000_000, 1))
    await bytesIn(await fetch(front.url + NX))
    const left = await fetch(front.url + NX)
    await left.body?.cancel()
    await expect.poll(openSpools).toEqual([])
  })

  test('hears the headers, the query and the method of the tool, and is heard', async () => {
    const server = used.use(await temporaryServer())
    const front = await frontTo(server.url)
    const path = '/v8/artifacts/0123456789abcdef?slug=red'
    const headers = { 'x-artifact-tag': 'signed', 'x-artifact-duration': '1234' }
    expect((await fetch(front.url + path, { method: 'PUT', body: 'made', headers })).status).toBe(202)
    const head = await fetch(front.url + path, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers.get('x-artifact-duration')).toBe('1234')
    expect(head.headers.get('content-length')).toBe('4')
    expect((await fetch(front.url + path)).headers.get('x-artifact-tag')).toBe('signed')
    expect((await fetch(`${front.url}/v8/artifacts/0123456789abcdef?slug=blue`)).status).toBe(404)
    const query = await fetch(`${front.url}/v8/artifacts?slug=red`, {
      method: 'POST',
      body: '{"hashes":["0123456789abcdef"]}',
    })
    expect(await query.json()).toEqual({ '0123456789abcdef': expect.objectContaining({ size: 4 }) })
  })

  test('keeps apart what an instance is named for; a path that names its own means that one', async () => {
    const entries: AccessEntry[] = []
    const server = used.use(await temporaryServer({ onRequest: (entry) => entries.push(entry) }))
    const front = await frontTo(server.url, { instance: 'red' })
    await put(front.url + NX, content(10, 1))
    await put(`${front.url}/blue${NX}`, content(20, 1))
    expect(await bytesIn(await fetch(`${server.url}/red${NX}`))).toHaveLength(10)
    expect(await bytesIn(await fetch(`${server.url}/blue${NX}`))).toHaveLength(20)
    expect((await fetch(server.url + NX)).status).toBe(404)
  })

  test('is told to go on by who waits for 100 Continue', async () => {
    const server = used.use(await temporaryServer())
    const front = await frontTo(server.url)
    const upload = httpRequest(`${front.url}/gradle/a`, { method: 'PUT', headers: { expect: '100-continue' } })
    upload.flushHeaders()
    await once(upload, 'continue')
    upload.end('done')
    const [answer] = await once(upload, 'response')
    expect(answer.statusCode).toBe(200)
    answer.resume()
    expect(await (await fetch(`${server.url}/gradle/a`)).text()).toBe('done')
  })

  test('keeps nothing of an upload whose tool went away', async () => {
    const ended = Promise.withResolvers<AccessEntry>()
    const server = used.use(
      await temporaryServer({ onRequest: (entry) => entry.method === 'PUT' && ended.resolve(entry) }),
    )
    const front = await frontTo(server.url)
    const upload = httpRequest(front.url + NX, { method: 'PUT', headers: { 'content-length': 5_000_000 } })
    upload.on('error', () => undefined)
    upload.write(content(2_000_000, 1), () => upload.destroy())
    expect((await ended.promise).status).toBe(499)
    expect((await fetch(server.url + NX)).status).toBe(404)
    expect(front.changes).toEqual([])
  })
})

/** How each protocol says that there is nothing, and that it is thankful. */
const MISSES = [
  ['nx', NX, 404, 403],
  ['turborepo', '/v8/artifacts/0123456789abcdef?slug=a', 404, 202],
  ['gradle', '/gradle/0123456789abcdef', 404, 413],
  ['ccache', '/ccache/8d/9bd84f0551br9cst47htk0hov55vde0', 404, 200],
  ['bazel', `/cas/${'ab'.repeat(32)}`, 404, 503],
  ['an instance of nx', `/team${NX}`, 404, 403],
] as const

describe.each(MISSES)('in the words of %s', (_name, path, read, written) => {
  test('a server that is not there is a miss, and an upload is taken and dropped', async () => {
    const front = await frontTo(await nowhere())
    expect((await fetch(front.url + path)).status).toBe(read)
    const upload = await put(front.url + path, content(3_000_000, 1))
    expect(upload.status).toBe(written)
    // All of it was taken in: who answers before and hangs up makes the tool stumble.
    expect(upload.headers.get('connection')).not.toBe('close')
    expect(front.changes).toEqual([{ isOpen: true, why: expect.stringContaining('ECONNREFUSED') }])
  })

  test.each([500, 503, 401, 403, 302, 407, 429, 400])('so is an answer of %i', async (status) => {
    const server = used.use(
      await faultServer((request, response) => {
        request.resume().once('end', () => response.writeHead(status, { location: '/' }).end('words of a proxy'))
      }),
    )
    const front = await frontTo(server.url, { pauseMs: 0 })
    const answer = await fetch(front.url + path, { redirect: 'manual' })
    expect(answer.status).toBe(read)
    expect(await answer.text()).not.toContain('proxy')
    expect((await put(front.url + path, content(100, 1))).status).toBe(written)
    expect(front.changes.some(({ isOpen }) => isOpen)).toBe([500, 503, 401, 407].includes(status))
  })
})

describe('a miss', () => {
  test('is what a server is that takes connections and never answers: its greeting has a budget', async () => {
    const server = used.use(await blackHole())
    const front = await frontTo(server.url, { connectMs: 50 })
    expect((await fetch(front.url + NX)).status).toBe(404)
    expect(front.changes).toEqual([{ isOpen: true, why: expect.stringContaining('did not answer within 0.05 s') }])
  })

  test('is what others wait for when one finds that the server fails', async () => {
    const held = Promise.withResolvers<void>()
    const server = used.use(
      await faultServer((request, response) => {
        if (request.url === NX) held.resolve()
        else response.writeHead(500).end()
      }),
    )
    const front = await frontTo(server.url, { idleMs: 3_600_000 })
    const waiting = fetch(front.url + NX)
    await held.promise
    expect((await fetch(`${front.url}${NX}1`)).status).toBe(404)
    expect((await waiting).status).toBe(404)
  })

  test.each([405, 409, 412, 413])('is a download that is answered %i', async (status) => {
    const server = used.use(await faultServer((_request, response) => response.writeHead(status).end()))
    const front = await frontTo(server.url)
    expect((await fetch(front.url + NX)).status).toBe(404)
    expect(front.changes).toEqual([])
  })

  test('is what a call of gRPC hears, which is not passed on', async () => {
    const server = used.use(await faultServer((_request, response) => response.end('there')))
    const front = await frontTo(server.url)
    const call = await fetch(`${front.url}/build.bazel.remote.execution.v2.Capabilities/GetCapabilities`, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
    })
    expect(call.status).toBe(404)
    expect(server.asked).toEqual([])
  })

  test('is an answer that does not begin', async () => {
    const server = used.use(await faultServer(() => undefined))
    const front = await frontTo(server.url, { idleMs: 200 })
    const all = await Promise.all(Array.from({ length: 8 }, () => fetch(front.url + NX)))
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 404))
    expect(front.changes).toEqual([{ isOpen: true, why: 'nothing came for 0.2 s' }])
  })

  test.each([10, 2_000_000])('is an answer that stops after %i bytes', async (sent) => {
    const server = used.use(
      await faultServer((_request, response) => {
        response.writeHead(200, { 'content-length': 3_000_000 }).write(content(sent, 1))
      }),
    )
    const front = await frontTo(server.url, { idleMs: 200 })
    expect((await fetch(front.url + NX)).status).toBe(404)
    expect(front.changes).toHaveLength(1)
  })

  test.each([10, 2_000_000])('is an answer that is cut off after %i bytes', async (sent) => {
    const server = used.use(
      await faultServer((_request, response) => {
        response.writeHead(200, { 'content-length': 3_000_000 }).write(content(sent, 1), () => response.destroy())
      }),
    )
    const front = await frontTo(server.url)
    expect((await fetch(front.url + NX)).status).toBe(404)
    expect(front.changes).toHaveLength(1)
  })

  test('is an answer without a length that is cut off', async () => {
    const server = used.use(
      await faultServer((_request, response) => void response.write(content(1000, 1), () => response.destroy())),
    )
    const front = await frontTo(server.url)
    expect((await fetch(front.url + NX)).status).toBe(404)
  })

  test('is an upload during which the server goes away', async () => {
    const server = used.use(await faultServer((request) => void request.once('data', () => request.socket.destroy())))
    const front = await frontTo(server.url)
    expect((await put(front.url + NX, content(8_000_000, 1))).status).toBe(403)
    expect(front.changes).toHaveLength(1)
  })

  test('is an upload that the server stops to read', async () => {
    const server = used.use(await faultServer((request) => void request.once('data', () => request.pause())))
    const front = await frontTo(server.url, { idleMs: 200 })
    expect((await put(front.url + NX, content(8_000_000, 1))).status).toBe(403)
  })

  test('is what TLS is that the server does not speak', async () => {
    const server = used.use(await temporaryServer())
    const front = await frontTo(server.url.replace('http:', 'https:'))
    expect((await fetch(front.url + NX)).status).toBe(404)
    expect(front.changes).toEqual([{ isOpen: true, why: expect.stringContaining('does not speak TLS') }])
  })

  test('is what a server says that does not know the token, or is no recue', async () => {
    const server = used.use(await temporaryServer({ gate: gateOf(`write ${TOKEN}\n`, 'tokens') }))
    const stranger = await frontTo(server.url, { token: 'another-token-of-tests' })
    expect((await fetch(stranger.url + NX)).status).toBe(404)
    expect(stranger.changes).toEqual([{ isOpen: true, why: expect.stringContaining('does not know this token') }])
    const astray = await frontTo(`${server.url}/else/where`)
    expect((await fetch(astray.url + NX)).status).toBe(404)
    expect(astray.changes).toEqual([{ isOpen: true, why: expect.stringContaining('is no recue') }])
  })
})

test.each([100, 8_000_000])('a refusal of %i bytes that a tool understands is passed on', async (size) => {
  const server = used.use(await temporaryServer({ gate: gateOf(`read ${TOKEN}\n`, 'tokens') }))
  const front = await frontTo(server.url, { token: TOKEN })
  expect((await put(`${front.url}/gradle/a`, content(size, 1))).status).toBe(413)
  expect(front.changes).toEqual([])
})

test('a server that failed is left alone, and asked by a probe alone whether it is back', async () => {
  let isWell = false
  const server = used.use(
    await faultServer((_request, response) => void response.writeHead(isWell ? 200 : 500).end('back')),
  )
  const away = await frontTo(server.url)
  for (let i = 0; i < 5; i++) expect((await fetch(away.url + NX)).status).toBe(404)
  expect(server.asked).toEqual([`GET ${NX}`])

  const back = Promise.withResolvers<void>()
  const front = await frontTo(server.url, { pauseMs: 0, onChange: ({ isOpen }) => !isOpen && back.resolve() })
  expect((await fetch(front.url + NX)).status).toBe(404)
  isWell = true
  // Not passed on, and yet it starts the probe.
  expect((await fetch(front.url + NX)).status).toBe(404)
  await back.promise
  expect(await (await fetch(front.url + NX)).text()).toBe('back')
  expect(server.asked).toHaveLength(3)
})

test('a write that a server cannot keep leaves it trusted', async () => {
  const server = used.use(
    await faultServer((request, response) => {
      request.resume().once('end', () => response.writeHead(request.method === 'PUT' ? 503 : 200).end('there'))
    }),
  )
  const front = await frontTo(server.url)
  expect((await put(`${front.url}/cas/${'ab'.repeat(32)}`, content(10, 1))).status).toBe(503)
  expect(await (await fetch(front.url + NX)).text()).toBe('there')
  expect(front.changes).toEqual([])
})

test('a connection that the server closes when it is used again is no fault', async () => {
  const before = new WeakSet<object>()
  const server = used.use(
    await faultServer(({ socket }, response) => {
      if (before.has(socket)) return void socket.destroy()
      before.add(socket)
      response.end('there')
    }),
  )
  const front = await frontTo(server.url)
  for (let i = 0; i < 4; i++) expect(await (await fetch(front.url + NX)).text()).toBe('there')
  expect(server.asked).toHaveLength(7)
  expect(front.changes).toEqual([])
})

test('what concerns one connection is not passed on; by which name the tool came is', async () => {
  const heard: Record<string, unknown>[] = []
  const server = used.use(
    await faultServer((request, response) => {
      heard.push(request.headers)
      request.resume().once('end', () => response.writeHead(200, { 'keep-alive': 'timeout=1', 'x-own': 'kept' }).end())
    }),
  )
  const front = await frontTo(server.url)
  const upload = httpRequest(front.url + NX, {
    method: 'PUT',
    headers: { expect: '100-continue', 'content-length': 4, te: 'trailers', 'proxy-connection': 'x', 'x-other': 'y' },
  })
  upload.once('continue', () => upload.end('made')).flushHeaders()
  const [answer] = await once(upload, 'response')
  answer.resume()
  expect(heard[0]).toMatchObject({
    'x-other': 'y',
    'x-forwarded-host': new URL(front.url).host,
    host: new URL(server.url).host,
  })
  for (const name of ['expect', 'te', 'proxy-connection']) expect(heard[0]).not.toHaveProperty(name)
  expect(answer.headers).toMatchObject({ 'x-own': 'kept' })
  expect(answer.headers['keep-alive']).not.toBe('timeout=1')
})

test.each([
  ['names its origin', { origin: 'https://example.org' }],
  ['is of a browser', { 'sec-fetch-site': 'same-origin' }],
  ['comes by a name that leads here', { host: 'rebound.example.org:80' }],
])('a request that %s does not get the token', async (_what, headers) => {
  const server = used.use(await faultServer((_request, response) => response.end('there')))
  const front = await frontTo(server.url, { token: TOKEN })
  const asked = httpRequest(front.url + NX, { headers: headers as Record<string, string> }).end()
  const [answer] = await once(asked, 'response')
  answer.resume()
  expect(answer.statusCode).toBe(403)
  expect(server.asked).toEqual([])
})

test('the token of the front takes the place of what a tool shows, which is passed on where it has none', async () => {
  const shown: (string | undefined)[] = []
  const server = used.use(
    await faultServer(({ headers }, response) => {
      shown.push(headers.authorization)
      response.end()
    }),
  )
  const headers = { authorization: 'Bearer of-the-tool' }
  await fetch((await frontTo(server.url, { token: TOKEN })).url + NX, { headers })
  await fetch((await frontTo(server.url)).url + NX, { headers })
  expect(shown).toEqual([`Bearer ${TOKEN}`, 'Bearer of-the-tool'])
})

test('several stand beside each other', async () => {
  const server = used.use(await temporaryServer())
  const [one, other] = [
    await frontTo(server.url, { instance: 'one' }),
    await frontTo(server.url, { instance: 'other' }),
  ]
  expect(one.url).not.toBe(other.url)
  await put(one.url + NX, content(10, 1))
  expect((await fetch(other.url + NX)).status).toBe(404)
  expect((await fetch(one.url + NX)).status).toBe(200)
})
