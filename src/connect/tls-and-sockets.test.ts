import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { certificateFor } from '../server/listen/certificate.fixture.ts'
import { openTlsKeys } from '../server/listen/tls-keys.ts'
import { temporaryServer } from '../server/temporary-server.fixture.ts'
import { checkConnection } from './check/check.ts'
import { openFront } from './front/front.ts'
import { greet, troubleWith } from './greet.ts'
import { parseServerAddress, type ServerAddress, type TlsFiles } from './server-address.ts'
import { remoteOf, socketTrouble } from './tool.ts'
import { toolNamed } from './tools.ts'

const CA = certificateFor('the authority')
const OURS = certificateFor('ours', { signedBy: CA })
const MINE = certificateFor('mine', { signedBy: CA })
const OLD = certificateFor('old', { signedBy: CA, validTo: new Date('2021-01-01') })
const NX = '/v1/cache/13551001528064948760'

let dir: string
let used: AsyncDisposableStack
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-connect-'))
  used = new AsyncDisposableStack()
})
afterEach(async () => {
  await used.disposeAsync()
  rmSync(dir, { recursive: true, force: true })
})

function file(name: string, text: string): string {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

async function tlsServer({ cert, key } = OURS, asksClients = false): Promise<string> {
  const clientCa = asksClients ? { clientCa: file('ca', CA.cert) } : {}
  const tls = used.use(openTlsKeys({ cert: file('cert', cert), key: file('key', key), ...clientCa }, () => undefined))
  return used.use(await temporaryServer({ tls })).url
}

async function throughFront(server: ServerAddress): Promise<{ put: number; got: string }> {
  const front = used.use(await openFront({ listen: { kind: 'tcp', host: '127.0.0.1', port: 0 }, server }))
  const put = await fetch(front.url + NX, { method: 'PUT', body: 'made' })
  return { put: put.status, got: await (await fetch(front.url + NX)).text() }
}

async function statuses(tool: string, address: ServerAddress): Promise<string[]> {
  const found: string[] = []
  const options = { cwd: '/', environment: { PATH: '' }, self: ['recue'], signal: new AbortController().signal }
  for await (const { name, status } of checkConnection({ address, tool: toolNamed(tool), ...options }))
    found.push(`${name} ${status}`)
  return found.slice(0, 3)
}

const ALL_WELL = ['server ok', 'token ok', 'round trip ok']

describe('by TLS', () => {
  test('a server whose authority is named is reached, by HTTP and gRPC, and through a front', async () => {
    const address = parseServerAddress(await tlsServer(), { tls: { ca: CA.cert } })
    expect(await throughFront(address)).toEqual({ put: 200, got: 'made' })
    expect(await statuses('gradle', address)).toEqual(ALL_WELL)
    expect(await statuses('moon', address)).toEqual(ALL_WELL)
  })

  test('one that asks who calls is reached with a certificate', async () => {
    const url = await tlsServer(OURS, true)
    const address = parseServerAddress(url, { tls: { ca: CA.cert, cert: MINE.cert, key: MINE.key } })
    expect(await throughFront(address)).toEqual({ put: 200, got: 'made' })
    expect(await statuses('moon', address)).toEqual(ALL_WELL)
    const stranger = parseServerAddress(url, { tls: { ca: CA.cert } })
    expect(troubleWith(stranger, await greet(stranger, 5_000))).toBeDefined()
    expect(await throughFront(stranger)).toMatchObject({ put: 403, got: '' })
  })

  const trouble = async (url: string, tls: TlsFiles) => {
    const address = parseServerAddress(url, { tls })
    return troubleWith(address, await greet(address, 5_000))
  }
  test('what is wrong with its certificate is said', async () => {
    expect((await trouble(await tlsServer(), {}))?.hint).toContain('--ca')
    expect((await trouble(await tlsServer(OLD), { ca: CA.cert }))?.hint).toContain('expired')
    const elsewhere = (await tlsServer()).replace('127.0.0.1', '127.0.0.2')
    expect(await trouble(elsewhere, { ca: CA.cert })).toBeDefined()
  })
})

test('by a Unix socket, on both sides of a front', async () => {
  const path = join(dir, 's')
  const server = used.use(await temporaryServer({ http: { kind: 'unix', path } }))
  expect(server.url).toBe(`unix:${path}`)
  const address = parseServerAddress(server.url)
  expect(await statuses('nx', address)).toEqual(ALL_WELL)
  expect(await statuses('moon', address)).toEqual(ALL_WELL)
  expect(await throughFront(address)).toEqual({ put: 200, got: 'made' })
  const options = { cwd: '/', environment: {}, self: ['recue'], signal: new AbortController().signal }
  let last: unknown
  for await (const finding of checkConnection({ address, tool: toolNamed('turborepo'), ...options })) last = finding
  expect(last).toMatchObject({
    ...{ status: 'fail', what: 'Turborepo does not reach a Unix socket.' },
    hint: expect.stringContaining(`recue front --server unix:${path}`),
  })
  const { socketPath } = address
  expect(socketTrouble(toolNamed('moon'), socketPath)?.hint).toContain('listen on a port')
  expect(socketTrouble(toolNamed('go'), socketPath)).toBeUndefined()
  expect(socketTrouble(toolNamed('nx'), undefined)).toBeUndefined()
  const { environment } = toolNamed('go').setup(remoteOf(address), { has: () => false, versionOf: () => undefined })
  expect(environment).toContainEqual({ name: 'RECUE_SERVER', value: `unix:${path}` })
  const own = join(dir, 'f')
  const front = used.use(await openFront({ listen: { kind: 'unix', path: own }, server: address }))
  expect(await statuses('nx', parseServerAddress(front.url))).toEqual(ALL_WELL)
})
