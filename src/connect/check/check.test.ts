import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { gateOf } from '../../server/access.ts'
import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import { blackHole, faultServer, nowhere } from '../fault-server.fixture.ts'
import { greet, troubleWith } from '../greet.ts'
import { parseServerAddress, type ServerAddress } from '../server-address.ts'
import type { Tool } from '../tool.ts'
import { TOOLS, toolNamed } from '../tools.ts'
import { checkConnection } from './check.ts'
import type { Finding } from './finding.ts'

const WRITE = 'writes-and-reads-00'
const READ = 'reads-and-no-more-0'

let used = new AsyncDisposableStack()
afterEach(async () => {
  await used.disposeAsync()
  used = new AsyncDisposableStack()
})

/** Nothing is on the PATH: the tools themselves are tried elsewhere. */
async function checked(tool: Tool, address: ServerAddress): Promise<Finding[]> {
  const options = { cwd: '/', environment: { PATH: '' }, self: ['recue'], signal: new AbortController().signal }
  const findings: Finding[] = []
  for await (const finding of checkConnection({ address, tool, ...options })) findings.push(finding)
  return findings
}

const words = (findings: readonly Finding[]) => findings.map(({ name, status }) => `${name} ${status}`)

test.each(TOOLS.map(({ name }) => [name]))('an entry of %s comes back, in an instance too', async (name) => {
  const server = used.use(await temporaryServer({ gate: gateOf(`write ${WRITE}\nread ${READ}\n`, 'tokens') }))
  const tool = toolNamed(name)
  const tried = tool.trial === undefined ? [] : [`${name} skip`]
  for (const instance of ['', 'red']) {
    const address = parseServerAddress(server.url, { token: WRITE, instance })
    expect(words(await checked(tool, address))).toEqual(['server ok', 'token ok', 'round trip ok', ...tried])
  }
  const reader = await checked(tool, parseServerAddress(server.url, { token: READ }))
  expect(words(reader)).toEqual(['server ok', 'token fail'])
  expect(reader[1]?.what).toContain('may read, and not write')
})

describe('a server that does not answer as it should', () => {
  test.each([
    ['another token', (url: string) => url, 'another-token-of-tests', 'does not know this token'],
    ['no token', (url: string) => url, undefined, 'asks for a token'],
    ['no TLS', (url: string) => url.replace('http:', 'https:'), WRITE, 'does not speak TLS'],
    ['another path', (url: string) => `${url}/else/where`, WRITE, 'is no recue'],
  ])('%s', async (_name, urlOf, token, what) => {
    const server = used.use(await temporaryServer({ gate: gateOf(`write ${WRITE}\n`, 'tokens') }))
    const address = parseServerAddress(urlOf(server.url), { ...(token !== undefined && { token }) })
    const [finding, ...more] = await checked(toolNamed('nx'), address)
    expect(finding).toMatchObject({ status: 'fail', what: expect.stringContaining(what), hint: expect.any(String) })
    expect(more).toEqual([])
  })

  test('nobody is there', async () => {
    const [finding] = await checked(toolNamed('nx'), parseServerAddress(await nowhere()))
    expect(finding).toMatchObject({ status: 'fail', what: expect.stringContaining('ECONNREFUSED') })
  })

  test('it never says a word', async () => {
    const hole = used.use(await blackHole())
    const address = parseServerAddress(hole.url)
    const greeted = await greet(address, 50)
    expect(greeted).toEqual({ kind: 'silent', afterMs: 50 })
    expect(troubleWith(address, greeted)?.what).toContain('did not answer within 0.05 s')
  })

  test('it speaks HTTP/2 alone', async () => {
    const server = createHttp2Server()
    server.on('session', (session) => session.on('error', () => undefined))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = parseServerAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const greeted = await greet(address, 5_000)
    server.close()
    expect(greeted).toEqual({ kind: 'http2' })
    expect(troubleWith(address, greeted)?.what).toContain('a port for gRPC')
  })

  test.each([
    ['sends on', 302, 'answers 302 (proxy), sends on to /login'],
    ['has a page of its own', 200, 'answers 200 (proxy)'],
  ])('it %s', async (_name, status, what) => {
    const proxy = used.use(
      await faultServer((_request, response) => {
        response.writeHead(status, { server: 'proxy', ...(status === 302 && { location: '/login' }) }).end('<html>')
      }),
    )
    const address = parseServerAddress(`${proxy.url}/behind`)
    const greeted = await greet(address, 5_000)
    expect(greeted).toEqual({ kind: 'another', what })
    expect(troubleWith(address, greeted)?.hint).toContain('proxy')
  })
})

describe('a round trip that fails', () => {
  const found = async (tool: string, answer: Parameters<typeof faultServer>[0]) => {
    const server = used.use(await faultServer(answer))
    return (await checked(toolNamed(tool), parseServerAddress(server.url))).at(-1)
  }
  const bodyless =
    (status: number, body = '') =>
    (
      request: { resume(): { once(name: string, then: () => void): unknown } },
      response: { writeHead(status: number): { end(body: string): unknown } },
    ) =>
      void request.resume().once('end', () => response.writeHead(status).end(body))

  test.each([
    ['the protocol is not there', bodyless(404), 'that protocol is not spoken there'],
    ['it is refused', bodyless(403, 'not you\nat all'), 'was answered 403: not you'],
    ['other bytes come back', bodyless(200, 'others'), 'gave other bytes back'],
  ])('%s', async (_name, answer, what) => {
    expect(await found('nx', answer as never)).toMatchObject({
      name: 'round trip',
      status: 'fail',
      what: expect.stringContaining(what),
    })
  })

  test('the connection breaks', async () => {
    const finding = await found('nx', (request) => request.socket.destroy())
    expect(finding).toMatchObject({ status: 'fail', what: expect.stringContaining('failed while it was asked') })
  })

  test('gRPC is not spoken at the address', async () => {
    expect(await found('moon', (_request, response) => void response.end('x'))).toMatchObject({
      status: 'fail',
      what: expect.stringContaining('does not answer gRPC'),
    })
  })
})
