import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { parseServerAddress } from '../../connect/server-address.ts'
import { gateOf } from '../../server/access.ts'
import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import { content } from '../../store/content.fixture.ts'
import { DEFAULT_SCOPE } from '../../store/contracts.ts'
import { openLocalStore } from '../../store/local/local-store.ts'
import { VERSION } from '../../version.ts'
import { remoteServer } from '../remote-server.ts'
import { type CcacheHelperOptions, serveCcache } from './ccache-helper.ts'
import { type CcacheStorage, localCcacheStorage, remoteCcacheStorage } from './ccache-storage.ts'
import { type CrshClient, crshClient } from './crsh-client.fixture.ts'

const KEY = Buffer.from('0123456789abcdef0123456789abcdef01234567', 'hex')
const OTHER = Buffer.from('f'.repeat(40), 'hex')
const [OK, NOOP] = [0, 1]
const WRITE = 'a-token-that-writes-0123'
const READ = 'a-token-that-reads-01234'

interface Running extends AsyncDisposable {
  readonly endpoint: string
  readonly ended: Promise<void>
  client(): Promise<CrshClient>
}

async function running(storage: CcacheStorage, options: Partial<CcacheHelperOptions> = {}): Promise<Running> {
  const endpoint = options.endpoint ?? join(folder(), 'socket')
  const end = new AbortController()
  const clients: CrshClient[] = []
  const ended = serveCcache({
    ...{ endpoint, idleMs: 0, layout: 'subdirs', storage, diagnostics: () => ['here', 'well'], signal: end.signal },
    ...options,
  })
  ended.catch(() => undefined)
  while (!existsSync(endpoint)) await Promise.race([breathe(), ended])
  return {
    ...{ endpoint, ended },
    async client() {
      const client = await crshClient(endpoint)
      clients.push(client)
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]()
      end.abort()
      await ended
    },
  }
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'recue-crsh-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function local(): Promise<CcacheStorage> {
  const store = await openLocalStore({ dir: folder() })
  onTestFinished(() => store[Symbol.asyncDispose]())
  return localCcacheStorage(store, DEFAULT_SCOPE)
}

function remote(url: string, options: { token?: string; instance?: string } = {}): CcacheStorage {
  const server = remoteServer(parseServerAddress(url, options), { pauseMs: 60_000, onDown: () => undefined })
  onTestFinished(() => server[Symbol.dispose]())
  return remoteCcacheStorage(server)
}

const SIZES = [0, 1, 4_000, 1_048_577, 3_000_000]

test.each(['of this machine', 'at a server'])('what was put in a storage %s is had back', async (where) => {
  await using server = await temporaryServer()
  await using helper = await running(where === 'at a server' ? remote(server.url) : await local())
  const client = await helper.client()
  expect([...client.greeting]).toEqual([1, 3, 0, 1, 2])
  for (const size of SIZES) {
    const key = randomBytes(20)
    expect(await client.get(key)).toBe('noop')
    expect(await client.exists(key)).toBe(false)
    const value = Buffer.from(content(size, 1))
    expect(await client.put(key, value, false)).toBe(OK)
    expect(await client.exists(key)).toBe(true)
    expect(value.equals((await client.get(key)) as Buffer)).toBe(true)
  }
  expect(await client.put(KEY, content(10, 1), false)).toBe(OK)
  expect(await client.put(KEY, content(20, 2), false)).toBe(NOOP)
  expect(await client.get(KEY)).toHaveLength(10)
  expect(await client.put(KEY, content(20, 2), true)).toBe(OK)
  expect(await client.get(KEY)).toHaveLength(20)
  expect([await client.remove(KEY), await client.remove(KEY)]).toEqual([OK, NOOP])
  expect(await client.get(KEY)).toBe('noop')
})

test.each([
  ['subdirs', '01/23456789abcdef0123456789abcdef01234567'],
  ['flat', '0123456789abcdef0123456789abcdef01234567'],
  ['bazel', 'ac/0123456789abcdef0123456789abcdef012345670123456789abcdef01234567'],
] as const)('in the layout %s it is what ccache itself finds over HTTP, and the other way', async (layout, path) => {
  await using server = await temporaryServer()
  await using helper = await running(remote(server.url, { instance: 'red' }), { layout })
  const client = await helper.client()
  await client.put(KEY, content(100, 1), false)
  const url = `${server.url}/red/ccache/${path}`
  expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(100)
  await fetch(url, { method: 'PUT', body: Buffer.from(content(50, 2)) })
  expect(await client.get(KEY)).toHaveLength(50)
  expect((await fetch(`${server.url}/ccache/${path}`)).status).toBe(404)
})

test('many ccaches at once, each in turn', async () => {
  await using helper = await running(await local())
  await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const client = await helper.client()
      for (let j = 0; j < 5; j++) {
        const key = Buffer.from([i, j])
        expect(await client.put(key, content(1000 + i, j), true)).toBe(OK)
        expect((await client.get(key)) as Buffer).toEqual(Buffer.from(content(1000 + i, j)))
      }
    }),
  )
})

test('a request may come byte by byte, or with the next one', async () => {
  await using helper = await running(await local())
  const client = await helper.client()
  const put = Buffer.concat([Buffer.of(1, 2, 7, 7, 1), sized(3), Buffer.from('abc')])
  for (const byte of put) {
    client.send(Buffer.of(byte))
    await breathe()
  }
  expect(await client.receive(1)).toEqual(Buffer.of(OK))
  client.send(Buffer.of(0, 2, 7, 7, 0, 2, 7, 7))
  const answer = Buffer.concat([Buffer.of(OK), sized(3), Buffer.from('abc')])
  expect(await client.receive(24)).toEqual(Buffer.concat([answer, answer]))
})

function sized(bytes: number): Buffer {
  return Buffer.from(new BigUint64Array([BigInt(bytes)]).buffer)
}

test('a ccache that goes away in the middle of a value leaves nothing, and harms no other', async () => {
  const storage = await local()
  await using helper = await running(storage)
  const dying = await helper.client()
  dying.send(Buffer.concat([Buffer.of(1, 20), KEY, Buffer.of(1), sized(5_000_000), Buffer.from(content(2_000_000, 1))]))
  const living = await helper.client()
  expect(await living.put(OTHER, content(10, 1), false)).toBe(OK)
  dying[Symbol.dispose]()
  expect(await living.get(KEY)).toBe('noop')
  expect(await living.get(OTHER)).toHaveLength(10)
})

test('what fails is not there, and not kept; the value is taken in all the same', async () => {
  const broken: CcacheStorage = {
    get: () => Promise.reject(new Error('no')),
    has: () => Promise.reject(new Error('no')),
    put: () => Promise.reject(new Error('no')),
    remove: () => Promise.reject(new Error('no')),
  }
  await using helper = await running(broken)
  const client = await helper.client()
  expect(await client.get(KEY)).toBe('noop')
  expect(await client.put(KEY, content(300_000, 1), false)).toBe(NOOP)
  expect(await client.exists(KEY)).toBe(false)
  expect(await client.remove(KEY)).toBe(NOOP)
  expect(await client.info()).toEqual([`recue ${VERSION}`, 'here', 'well'])
})

test('a value that ends early is cut off, so that ccache notices', async () => {
  const short: CcacheStorage = {
    ...(await local()),
    get: async () => ({
      sizeBytes: 100,
      bytes: {
        async *[Symbol.asyncIterator]() {
          yield Buffer.alloc(40)
        },
        async [Symbol.asyncDispose]() {},
      },
    }),
  }
  await using helper = await running(short)
  expect(await (await helper.client()).get(KEY)).toHaveLength(40)
})

test('a request that nobody knows ends that conversation with a word', async () => {
  await using helper = await running(await local())
  const client = await helper.client()
  client.send(Buffer.of(77))
  const answer = await client.receive(100)
  expect(answer[0]).toBe(2)
  expect(answer.subarray(2).toString()).toBe('unknown request 77')
  expect(answer[1]).toBe(answer.length - 2)
})

test('told to stop, it is gone, and its socket with it', async () => {
  await using helper = await running(await local())
  const [client, idle] = [await helper.client(), await helper.client()]
  expect(await client.stop()).toBe(OK)
  await helper.ended
  expect(existsSync(helper.endpoint)).toBe(false)
  expect(await idle.receive(1)).toHaveLength(0)
})

test('with nobody there it ends by itself', async () => {
  await using helper = await running(await local(), { idleMs: 20 })
  await helper.client()
  await helper.ended
  expect(existsSync(helper.endpoint)).toBe(false)
})

test('it does not end while somebody waits for it', async () => {
  const slow: CcacheStorage = {
    ...(await local()),
    async get() {
      await new Promise((resolve) => setTimeout(resolve, 600))
      return Buffer.from('late')
    },
  }
  // Long enough for the client to come, and shorter than its answer takes.
  await using helper = await running(slow, { idleMs: 300 })
  expect(await (await helper.client()).get(KEY)).toEqual(Buffer.from('late'))
})

test('nobody but its user may come in', async () => {
  await using helper = await running(await local())
  expect(statSync(helper.endpoint).mode & 0o777 & ~0o700).toBe(0)
})

test('a socket that a killed helper left is taken over; that of a living one is left to it', async () => {
  const endpoint = join(folder(), 'socket')
  const left = createServer()
  await new Promise<void>((resolve) => left.listen(`${endpoint}.old`, resolve))
  // What is left of it is the name alone, as after a kill.
  renameSync(`${endpoint}.old`, endpoint)
  await new Promise((resolve) => left.close(resolve))
  expect(existsSync(endpoint)).toBe(true)
  await using helper = await running(await local(), { endpoint })
  while (!(await isServed(endpoint))) await breathe()
  const second = serveCcache({
    ...{ endpoint, idleMs: 0, layout: 'subdirs', storage: await local(), diagnostics: () => [] },
    signal: new AbortController().signal,
  })
  await expect(second).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining('EADDRINUSE') })
  expect((await helper.client()).greeting[0]).toBe(1)
})

function isServed(endpoint: string): Promise<boolean> {
  return crshClient(endpoint).then(
    (client) => {
      client[Symbol.dispose]()
      return true
    },
    () => false,
  )
}

test('where the socket cannot be had, it says so', async () => {
  const file = join(folder(), 'file')
  writeFileSync(file, 'mine')
  const helper = serveCcache({
    ...{ endpoint: join(file, 'socket'), idleMs: 0, layout: 'subdirs', storage: await local(), diagnostics: () => [] },
    signal: new AbortController().signal,
  })
  await expect(helper).rejects.toMatchObject({ code: 'usage' })
  expect(readdirSync(join(file, '..'))).toEqual(['file'])
})

test('a token that may only read, a wrong one, and a server that is not there', async () => {
  await using server = await temporaryServer({ gate: gateOf(`read ${READ}\nwrite ${WRITE}\n`, 'tokens') })
  await using writer = await running(remote(server.url, { token: WRITE }))
  await (await writer.client()).put(KEY, content(10, 1), false)
  await using reader = await running(remote(server.url, { token: READ }))
  const mayRead = await reader.client()
  expect(await mayRead.get(KEY)).toHaveLength(10)
  expect([await mayRead.put(OTHER, content(10, 1), false), await mayRead.remove(KEY)]).toEqual([NOOP, NOOP])
  expect(await mayRead.get(OTHER)).toBe('noop')
  for (const storage of [remote(server.url, { token: 'another-token-000' }), remote('http://127.0.0.1:9')]) {
    await using nobody = await running(storage)
    const client = await nobody.client()
    expect(await client.get(KEY)).toBe('noop')
    expect(await client.put(KEY, content(500_000, 1), true)).toBe(NOOP)
    expect(await client.remove(KEY)).toBe(NOOP)
    expect(await client.get(KEY)).toBe('noop')
  }
})
