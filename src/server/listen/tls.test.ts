import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { RunningServer } from '../serve.ts'
import { temporaryServer } from '../temporary-server.fixture.ts'
import { certificateFor } from './certificate.fixture.ts'
import { openTlsKeys, type TlsFiles, type TlsKeys } from './tls-keys.ts'

const CA = certificateFor('the authority')
const OURS = certificateFor('ours', { signedBy: CA })
const THEIRS = certificateFor('a client', { signedBy: CA })
const STRANGER = certificateFor('a stranger')

let dir: string
let warnings: string[]
let opened: (AsyncDisposable | Disposable)[]

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'recue-tls-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))
afterEach(async () => {
  for (const one of opened.toReversed())
    if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose]()
    else one[Symbol.dispose]()
})

function file(name: string, content: string): string {
  const path = join(dir, name)
  writeFileSync(path, content)
  return path
}

const filesOf = (of = OURS): TlsFiles => ({ cert: file('cert.pem', of.cert), key: file('key.pem', of.key) })

function keysOf(files: TlsFiles): TlsKeys {
  warnings = []
  opened = []
  const keys = openTlsKeys(files, (line) => warnings.push(line))
  opened.push(keys)
  return keys
}

async function served(files: TlsFiles): Promise<{ server: RunningServer; port: number; keys: TlsKeys }> {
  const keys = keysOf(files)
  const server = await temporaryServer({ tls: keys })
  opened.push(server)
  return { server, port: Number(new URL(server.url).port), keys }
}

/** What comes back to a request of HTTP/1.1 by that connection, or the code of what went wrong. */
async function answerTo(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', ca: CA.cert, ...options })
  socket.on('error', () => undefined)
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  return text(socket).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
}

test('one address speaks HTTP/1.1 and HTTP/2 by what was agreed, and by the first bytes where nothing was', async () => {
  const { server, port } = await served(filesOf())
  expect([server.url, server.grpcUrl]).toEqual([`https://127.0.0.1:${port}`, `grpcs://127.0.0.1:${port}`])
  expect(await answerTo(port, {})).toMatch(/^HTTP\/1.1 200 OK[\s\S]*\nok\n$/)
  expect(await answerTo(port, { ALPNProtocols: ['http/1.1'] })).toMatch(/^HTTP\/1.1 200/)
  const session = connectHttp2(`https://localhost:${port}`, { ca: CA.cert })
  const stream = session.request({ ':path': '/healthz' })
  expect(await text(stream)).toBe('ok\n')
  expect(session.alpnProtocol).toBe('h2')
  session.close()
})

test('TLS 1.2 is spoken, and nothing older', async () => {
  const { port } = await served(filesOf())
  expect(await answerTo(port, { maxVersion: 'TLSv1.2' })).toMatch(/^HTTP\/1.1 200/)
  expect(
    await answerTo(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  ).not.toContain('HTTP')
})

test('who does not encrypt gets no answer, and is not waited for', async () => {
  const { port } = await served(filesOf())
  const socket = connectTcp(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  expect(await text(socket).catch(() => '')).not.toContain('200 OK')
})

test('without a certificate of the right authority nobody gets in, where one is asked for', async () => {
  const { port } = await served({ ...filesOf(), clientCa: file('ca.pem', CA.cert) })
  expect(await answerTo(port, { cert: THEIRS.cert, key: THEIRS.key })).toMatch(/^HTTP\/1.1 200/)
  expect(await answerTo(port, {})).not.toContain('HTTP')
  expect(await answerTo(port, { cert: STRANGER.cert, key: STRANGER.key })).not.toContain('HTTP')
})

test('where none is asked for, one that is shown does no harm', async () => {
  const { port } = await served(filesOf())
  expect(await answerTo(port, { cert: STRANGER.cert, key: STRANGER.key })).toMatch(/^HTTP\/1.1 200/)
})

test('new files count for new connections, and the old ones live on', async () => {
  const { port, keys } = await served(filesOf())
  const old = request({ port, host: '127.0.0.1', path: '/v1/cache/1', method: 'PUT', ca: CA.cert })
  old.setHeader('content-length', 2)
  old.flushHeaders()
  const [socket] = (await once(old, 'socket')) as [import('node:tls').TLSSocket]
  if (!socket.authorized) await once(socket, 'secureConnect')
  filesOf(certificateFor('renewed', { signedBy: CA }))
  keys.refresh()
  expect(await nameShown(port)).toBe('renewed')
  old.end('ab')
  const [answer] = (await once(old, 'response')) as [{ statusCode: number }]
  expect(answer.statusCode).toBe(200)
  expect(warnings).toEqual([])
})

test('the authority of clients is read again, too', async () => {
  const { port, keys } = await served({ ...filesOf(), clientCa: file('ca.pem', STRANGER.cert) })
  const asTheirs = { cert: THEIRS.cert, key: THEIRS.key }
  expect(await answerTo(port, asTheirs)).not.toContain('HTTP')
  file('ca.pem', CA.cert)
  keys.refresh()
  expect(await answerTo(port, asTheirs)).toMatch(/^HTTP\/1.1 200/)
  expect(await answerTo(port, {})).not.toContain('HTTP')
})

test('new files that are of no use are named once, and the old keys stay', async () => {
  const { port, keys } = await served(filesOf())
  file('key.pem', STRANGER.key)
  keys.refresh()
  keys.refresh()
  expect(warnings).toEqual([
    `--tls-key: ${join(dir, 'key.pem')} is not the key of the certificate in ${join(dir, 'cert.pem')}.`,
  ])
  expect(await nameShown(port)).toBe('ours')
  file('key.pem', OURS.key)
  keys.refresh()
  rmSync(join(dir, 'cert.pem'))
  keys.refresh()
  expect(warnings).toHaveLength(1)
  expect(await nameShown(port)).toBe('ours')
})

test.each([
  ['a missing certificate', { cert: '/nowhere/cert.pem' }, '--tls-cert: /nowhere/cert.pem cannot be read (ENOENT).'],
  ['a missing key', { key: '/nowhere/key.pem' }, '--tls-key: /nowhere/key.pem cannot be read (ENOENT).'],
  ['a missing authority', { clientCa: '/nowhere/ca' }, '--tls-client-ca: /nowhere/ca cannot be read (ENOENT).'],
  ['a certificate that is none', { cert: ['x', 'hello'] }, '--tls-cert: DIR/x holds no certificate in PEM.'],
  ['a key that is none', { key: ['x', OURS.cert] }, '--tls-key: DIR/x holds no private key in PEM.'],
  ['an authority that is none', { clientCa: ['x', ''] }, '--tls-client-ca: DIR/x holds no certificate in PEM.'],
  [
    'the key of another',
    { key: ['x', STRANGER.key] },
    '--tls-key: DIR/x is not the key of the certificate in DIR/cert.pem.',
  ],
  [
    'a key with a passphrase',
    {
      key: ['x', OURS.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes128', passphrase: 'x' }) as string],
    },
    '--tls-key: DIR/x holds a key with a passphrase, which nobody can type.',
  ],
])('%s is said in one line', (_what, bad, message) => {
  opened = []
  const named = Object.fromEntries(
    Object.entries(bad).map(([key, value]) => [
      key,
      Array.isArray(value) ? file(...(value as [string, string])) : value,
    ]),
  )
  expect(() => openTlsKeys({ ...filesOf(), ...named }, () => undefined)).toThrow(
    expect.objectContaining({ code: 'usage', message: message.replaceAll('DIR', dir) }),
  )
})

test('one that has expired, or is not valid yet, is served with, and said', () => {
  const expired = certificateFor('late', { validTo: new Date('2021-01-01') })
  keysOf(filesOf(expired))
  expect(warnings).toEqual([expect.stringMatching(/cert\.pem: the certificate has expired \(Jan {2}1 .*2021/)])
  keysOf({
    ...filesOf(),
    clientCa: file('ca.pem', certificateFor('early', { validFrom: new Date('2119-01-01') }).cert),
  })
  expect(warnings).toEqual([expect.stringMatching(/ca\.pem: the certificate is not valid yet/)])
})

async function nameShown(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', ca: CA.cert })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}
