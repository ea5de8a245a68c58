import { once } from 'node:events'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { asActionDigest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import type { CacheError } from '../../errors.ts'
import { certificateFor } from '../../server/listen/certificate.fixture.ts'
import { DEFAULT_SCOPE } from '../contracts.ts'
import { faultyGrpc, faultyHttp, refuse } from './fault-servers.fixture.ts'
import { openRemote } from './open-remote.ts'
import { parseRemote, type RemoteAccess } from './remote-address.ts'
import { tunnelTo } from './tunnel.ts'

const action = asActionDigest(digestOf(Buffer.from('action')))
const left: (() => void)[] = []
afterEach(() => {
  for (const leave of left.splice(0)) leave()
})

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  left.push(() => server.close())
  return (server.address() as AddressInfo).port
}

interface Proxy {
  readonly url: URL
  /** Heads of all requests, and the first bytes of what came after them. */
  readonly heard: string[]
}

/** Leads every CONNECT to `port`, or answers it with `answer`. */
async function proxyTo(port: number, answer = 'HTTP/1.1 200 Fine\r\nX-Via: us\r\n\r\n'): Promise<Proxy> {
  const heard: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (head) => {
      heard.push(head.toString('latin1'))
      if (!answer.startsWith('HTTP/1.1 2')) return socket.end(answer)
      const through = connect(port, '127.0.0.1', () => {
        socket.write(answer)
        socket.once('data', (first) => heard.push(first.toString('latin1')))
        socket.pipe(through).pipe(socket)
      })
      through.on('error', () => socket.destroy())
      return undefined
    })
  })
  return { url: new URL(`http://u%20ser:pass@127.0.0.1:${await listening(server)}`), heard }
}

async function look(address: string, access: RemoteAccess) {
  await using end = await openRemote(address, { ...access, connectMs: 2_000, idleMs: 2_000 })
  return await end.actions.get(DEFAULT_SCOPE, action)
}

const MISS = { kind: 'miss', why: 'absent' }

test('gRPC goes through a proxy, which alone is told its name and password', async () => {
  await using server = await faultyGrpc({ GetActionResult: (stream) => refuse(stream, 5) })
  const proxy = await proxyTo(Number(new URL(server.address.replace('grpc', 'http')).port))
  expect(await look('grpc://cache.example:9092', { proxy: proxy.url, token: 'secret' })).toEqual(MISS)
  expect(server.asked).toContain('GetActionResult')
  expect(proxy.heard[0]).toBe(
    `CONNECT cache.example:9092 HTTP/1.1\r\nHost: cache.example:9092\r\nProxy-Authorization: Basic ${btoa('u ser:pass')}\r\n\r\n`,
  )
  expect(proxy.heard[1]).toMatch(/^PRI \* HTTP\/2/)
})

test('so does HTTP', async () => {
  let shown: unknown
  await using server = await faultyHttp((request, response) => {
    shown = request.headers
    response.writeHead(404).end()
  })
  const proxy = await proxyTo(Number(new URL(server.address).port))
  expect(await look('http://cache.example/team', { proxy: proxy.url, token: 'secret' })).toEqual(MISS)
  expect(server.asked).toEqual([`GET /team/ac/${action.hash}`])
  expect(proxy.heard[0]).toMatch(/^CONNECT cache\.example:80 /)
  expect(shown).toMatchObject({ authorization: 'Bearer secret' })
  expect(JSON.stringify(shown)).not.toContain('proxy-authorization')
})

test('with TLS, the proxy sees nothing, and the certificate is the server’s', async () => {
  const { cert, key } = certificateFor('server')
  const h2 = createSecureServer({ cert, key })
  h2.on('stream', (stream: ServerHttp2Stream) => refuse(stream, 5, 'it was asked'))
  const http = createHttps({ cert, key }, (_, response) => response.writeHead(404).end())
  const asked = { grpcs: expect.stringContaining('it was asked'), https: 'absent' }
  for (const [scheme, server] of [['grpcs', h2] as const, ['https', http] as const]) {
    const { url: proxy, heard } = await proxyTo(await listening(server as unknown as Server))
    const outcome = (host: string, tls = {}) =>
      look(`${scheme}://${host}`, { proxy, token: 'secret', tls }).then(
        (found) => (found.kind === 'miss' ? found.why : 'hit'),
        (error: CacheError) => (error.code === 'remote.tls' ? error.code : error.message),
      )
    expect(await outcome('localhost:1', { ca: cert })).toEqual(asked[scheme])
    expect(await outcome('localhost:1')).toBe('remote.tls')
    expect(await outcome('cache.example', { ca: cert })).toBe('remote.tls')
    expect(heard.join()).not.toContain('secret')
  }
})

test.each([
  ['HTTP/1.1 407 Who?\r\n\r\n', 'asks for a name and a password'],
  ['HTTP/1.1 403 No\r\n\r\n', 'answered "HTTP/1.1 403 No"'],
  ['HTTP/1.1 302 There\r\nLocation: http://evil\r\n\r\n', 'answered "HTTP/1.1 302 There"'],
  ['SSH-2.0-x\r\n\r\n', 'answered "SSH-2.0-x"'],
  ['nothing', 'closed the connection'],
  ['x'.repeat(20_000), 'does not speak HTTP'],
])('a proxy that says %j is told of, without its password', async (answer, what) => {
  const proxy = await proxyTo(0, answer)
  for (const address of ['grpc://cache:9092', 'http://cache:9092'])
    await expect(look(address, { proxy: proxy.url })).rejects.toMatchObject({
      code: 'remote.unreachable',
      message: expect.stringMatching(new RegExp(`^The proxy 127.0.0.1:\\d+ does not lead to .*${what}`)),
    })
})

test('one that is not there is told of, too', async () => {
  const proxy = new URL('http://127.0.0.1:1')
  await expect(look('grpcs://cache', { proxy })).rejects.toMatchObject({
    message: expect.stringContaining('ECONNREFUSED'),
  })
})

test('what the server says with the proxy’s answer is not lost', async () => {
  const server = createServer((socket) => void socket.on('error', () => undefined))
  const proxy = await proxyTo(await listening(server), 'HTTP/1.1 200 OK\r\n\r\nX')
  const socket = await tunnelTo(parseRemote('grpc://cache'), proxy.url, { connectMs: 2_000, protocol: 'gRPC' })
  const [first] = (await once(socket.resume(), 'data')) as [Buffer]
  expect(first.toString()).toBe('X')
  socket.destroy()
})

test('a proxy that says nothing is left', async () => {
  const server = createServer((socket) => void socket.on('error', () => undefined).resume())
  const proxy = new URL(`http://127.0.0.1:${await listening(server)}`)
  const opened = tunnelTo(parseRemote('grpc://cache'), proxy, { connectMs: 20, protocol: 'gRPC' })
  await expect(opened).rejects.toMatchObject({ message: expect.stringContaining('no answer within 0.02 s') })
})
