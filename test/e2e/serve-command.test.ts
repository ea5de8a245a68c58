import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { certificateFor } from '../../src/server/listen/certificate.fixture.ts'
import {
  Flag,
  FrameType,
  frame,
  headerBlock,
  number,
  rawConnection,
  requestHeaders,
} from '../../src/server/listen/raw-http2.fixture.ts'
import { type Runtime, runtimes } from './runtimes.ts'
import { ServeProcess } from './serve-process.ts'

const quickest = runtimes[0] as Runtime
let dir: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-serve-command-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe.each(runtimes)('recue serve by $name', (runtime) => {
  const serving = (...argv: string[]) => new ServeProcess(runtime, join(dir, 'cache'), argv)
  const portOf = (url: string) => Number(new URL(url).port)

  test('says first where it listens, answers all there, and ends when it is told to', async () => {
    await using server = serving('--http', '0', '--access-log')
    const { http, grpc } = await server.addresses()
    expect(grpc).toBe(http.replace('http', 'grpc'))
    const bytes = Buffer.alloc(3_000_000, 'recue ')
    const client = connectHttp2(http)
    const upload = client.request({ ':method': 'PUT', ':path': '/v1/cache/1' })
    upload.end(bytes)
    expect((await once(upload, 'response'))[0]).toMatchObject({ ':status': 200 })
    upload.resume()
    expect(Buffer.from(await (await fetch(`${http}/v1/cache/1`)).arrayBuffer()).equals(bytes)).toBe(true)
    const download = client.request({ ':path': '/v1/cache/1' })
    expect((await buffer(download)).equals(bytes)).toBe(true)
    client.close()
    server.child.kill('SIGTERM')
    expect(await server.ended).toBe(0)
    expect(server.lines.slice(1).map((line) => (JSON.parse(line) as { status: number }).status)).toEqual([
      200, 200, 200,
    ])
    expect(server.errors).toEqual(['recue: ending; what is under way may finish'])
  })

  test.skipIf(process.platform !== 'linux')('has its memory held down, unless its user set that himself', async () => {
    const environmentOf = (pid: number | undefined) => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    await using server = serving('--http', '0')
    await server.addresses()
    expect(environmentOf(server.child.pid)).toEqual(
      expect.arrayContaining(['MALLOC_ARENA_MAX=1', expect.stringMatching(/^BUN_JSC_forceRAMSize=\d+$/)]),
    )
    vi.stubEnv('MALLOC_ARENA_MAX', '3')
    vi.stubEnv('NODE_OPTIONS', '--max-semi-space-size=9')
    onTestFinished(() => void vi.unstubAllEnvs())
    await using other = serving('--http', '0')
    await other.addresses()
    const environment = environmentOf(other.child.pid)
    expect(environment).toContain('MALLOC_ARENA_MAX=3')
    expect(environment).not.toContain('MALLOC_ARENA_MAX=1')
    // Node goes by the last one.
    const ofNode = environment.find((setting) => setting.startsWith('NODE_OPTIONS='))
    expect(ofNode).toMatch(runtime.name === 'Node' ? /=--max-semi-space-size=4 .*=9$/ : /^NODE_OPTIONS=--[a-z-]+=9$/)
  })

  test('lets finish what is under way, and cuts it at the second signal', async () => {
    await using server = serving('--http', `unix:${join(dir, 'recue.sock')}`, '--grpc', '0')
    const { http, grpc } = await server.addresses()
    expect(http).toBe(`unix:${join(dir, 'recue.sock')}`)
    const upload = httpRequest({
      ...{ socketPath: join(dir, 'recue.sock'), path: '/v1/cache/1', method: 'PUT' },
      headers: { 'content-length': 8, expect: '100-continue' },
    })
    upload.flushHeaders()
    await once(upload, 'continue')
    const failed = once(upload, 'response').catch((error: unknown) => error)
    server.child.kill('SIGTERM')
    await server.said(/ending/)
    await expect(fetch(grpc.replace('grpc', 'http'))).rejects.toThrow()
    expect(existsSync(join(dir, 'recue.sock'))).toBe(false)
    server.child.kill('SIGTERM')
    expect(await server.ended).not.toBe(0)
    expect(await failed).toBeInstanceOf(Error)
  })

  test('speaks TLS, asks clients for certificates, and takes those for leave to write', async () => {
    const authority = certificateFor('authority')
    const [ours, theirs] = [
      certificateFor('ours', { signedBy: authority }),
      certificateFor('theirs', { signedBy: authority }),
    ]
    const file = (name: string, content: string) => {
      writeFileSync(join(dir, name), content)
      return join(dir, name)
    }
    const argv = ['--tls-cert', file('cert', ours.cert), '--tls-key', file('key', ours.key)]
    await using server = serving('--http', '0.0.0.0:0', ...argv, '--tls-client-ca', file('ca', authority.cert))
    const { http } = await server.addresses()
    expect(http).toMatch(/^https:\/\/0\.0\.0\.0:\d+$/)
    const to = `https://localhost:${portOf(http)}`
    const client = connectHttp2(to, { ca: authority.cert, cert: theirs.cert, key: theirs.key })
    const stream = client.request({ ':method': 'PUT', ':path': '/v1/cache/1' })
    stream.end('abc')
    expect((await once(stream, 'response'))[0]).toMatchObject({ ':status': 200 })
    client.destroy()
    const stranger = connectHttp2(to, { ca: authority.cert })
    const refused = stranger.request({ ':path': '/healthz' })
    stranger.on('error', () => undefined)
    await expect(once(refused, 'response')).rejects.toThrow()
    stranger.destroy()
  })

  test('holds out against floods over HTTP/2, each of which would cost it much', async () => {
    await using server = serving('--http', '0')
    const { http } = await server.addresses()
    const get = requestHeaders('GET', '/healthz')
    const floods: Record<string, (i: number) => Buffer> = {
      'requests that are reset': (i) =>
        Buffer.concat([frame(FrameType.headers, 5, 2 * i + 1, get), frame(FrameType.reset, 0, 2 * i + 1, number(8))]),
      settings: () => frame(FrameType.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100])),
      pings: () => frame(FrameType.ping, 0, 0, Buffer.alloc(8)),
      'empty data': (i) =>
        i === 0
          ? frame(FrameType.headers, Flag.endHeaders, 1, requestHeaders('PUT', '/v1/cache/1'))
          : frame(FrameType.data, 0, 1),
      'a header that goes on': (i) =>
        i === 0
          ? frame(FrameType.headers, 0, 1, get)
          : frame(FrameType.continuation, 0, 1, headerBlock({ [`x-${i}`]: 'a'.repeat(500) })),
      'uploads that do not end': (i) =>
        frame(FrameType.headers, Flag.endHeaders, 2 * i + 1, requestHeaders('PUT', `/v1/cache/${i}`)),
      'answers that nobody reads': (i) => frame(FrameType.headers, 5, 2 * i + 1, get),
    }
    for (const [name, make] of Object.entries(floods)) {
      const raw = await rawConnection(portOf(http))
      raw.socket.pause()
      for (let i = 0; i < 20_000 && !raw.socket.destroyed; i += 500) {
        const some = Buffer.concat(Array.from({ length: 500 }, (_, j) => make(i + j)))
        await new Promise((resolve) => raw.socket.write(some, resolve))
      }
      expect(await (await fetch(`${http}/healthz`)).text(), name).toBe('ok\n')
      raw.socket.destroy()
    }
    server.child.kill('SIGTERM')
    expect(await server.ended).toBe(0)
  })

  test('serves by several processes at one address, starts another for one that dies, and ends with all', async ({
    skip,
  }) => {
    if (process.platform !== 'linux') skip('processes share an address on Linux alone')
    await using server = serving('--http', '0', '--access-log', '--workers', '2')
    const { http } = await server.addresses()
    const health = () => fetch(`${http}/healthz`, { headers: { connection: 'close' } })
    await until(() => server.workers.length === 2)
    const [first = 0, second = 0] = server.workers
    expect((await fetch(`${http}/v1/cache/1`, { method: 'PUT', body: 'abc' })).status).toBe(200)
    process.kill(first, 'SIGKILL')
    expect(await server.said(/^recue: worker 1 ended \(SIGKILL\); another is started in 0\.2 s$/)).toBeTruthy()
    await until(() => server.workers.length === 2 && !server.workers.includes(first))
    expect(server.workers).toContain(second)
    // The second may not have listened yet when the first died.
    await until(async () => (await health().catch(() => undefined))?.status === 200)
    for (let i = 0; i < 10; i++) expect((await health()).status).toBe(200)
    expect(await (await fetch(`${http}/v1/cache/1`)).text()).toBe('abc')
    server.child.kill('SIGINT')
    expect(await server.ended).toBe(0)
    for (const pid of [first, second]) expect(existsSync(`/proc/${pid}`)).toBe(false)
    expect(server.lines.slice(1).every((line) => 'status' in (JSON.parse(line) as object))).toBe(true)
    expect(server.errors.filter((line) => line.includes('ending'))).toHaveLength(1)
  })

  test('ends its workers when it is killed itself', async ({ skip }) => {
    if (process.platform !== 'linux') skip('processes share an address on Linux alone')
    const server = serving('--http', '0', '--workers', '2')
    await server.addresses()
    await until(() => server.workers.length === 2)
    const { workers } = server
    server.child.kill('SIGKILL')
    await until(() => workers.every((pid) => !existsSync(`/proc/${pid}`)))
    await server.ended
  })
})

test.each([
  [['--http', 'unix:/tmp/x', '--workers', '2'], /Workers cannot share a Unix socket/],
  [['--http', '0.0.0.0:0'], /no tokens are asked for/],
  [['--tls-cert', 'x'], /TLS needs both a certificate and its key/],
  [['--tls-client-ca', 'x'], /TLS needs both a certificate and its key/],
  [['--http', '0', '--workers', '0'], /"0" is too little/],
])('%j is a mistake', async (argv, said) => {
  await using server = new ServeProcess(quickest, join(dir, 'cache'), argv)
  expect(await server.ended).toBe(125)
  expect(server.errors[0]).toMatch(said)
})

describe('a file of options', () => {
  const config = (content: object) => {
    writeFileSync(join(dir, 'serve.json'), JSON.stringify(content))
    return join(dir, 'serve.json')
  }

  test('is as good as flags, which count more; the files it names lie beside it', async () => {
    writeFileSync(join(dir, 'tokens'), 'write 0123456789abcdef\n')
    const file = config({
      http: `unix:${join(dir, 'a.sock')}`,
      grpc: '0',
      tokens: 'tokens',
      accessLog: true,
      workers: 2,
    })
    await using server = new ServeProcess(quickest, join(dir, 'cache'), [
      '--config',
      file,
      '--http',
      '0',
      '--workers',
      '1',
    ])
    const { http, grpc } = await server.addresses()
    expect(new URL(http).port).not.toBe(new URL(grpc).port)
    expect((await fetch(`${http}/ccache/a`)).status).toBe(401)
    const authorization = 'Bearer 0123456789abcdef'
    expect((await fetch(`${http}/ccache/a`, { headers: { authorization } })).status).toBe(404)
    server.child.kill('SIGTERM')
    expect(await server.ended).toBe(0)
    expect(server.lines).toHaveLength(3)
  })

  test.each([
    [{ htpp: '0' }, /serve\.json:1:2: unknown key htpp\./],
    [{ tlsKey: 1 }, /serve\.json:1:11: tlsKey must be a string, not 1\./],
    [{ tasks: {} }, /serve\.json:1:2: unknown key tasks\./],
  ])('that says %j is a mistake', async (content, said) => {
    await using server = new ServeProcess(quickest, join(dir, 'cache'), ['--config', config(content)])
    expect(await server.ended).toBe(125)
    expect(server.errors[0]).toMatch(said)
  })
})

test('an address that another serves at is not shared with it', async () => {
  await using first = new ServeProcess(quickest, join(dir, 'cache'), ['--http', '0', '--workers', '2'])
  const { http } = await first.addresses()
  for (const workers of ['1', '2']) {
    const argv = ['--http', new URL(http).host, '--workers', workers]
    await using second = new ServeProcess(quickest, join(dir, 'other'), argv)
    expect(await second.ended).toBe(125)
    expect(second.errors[0]).toMatch(/something else listens there/)
  }
})

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10))
}
