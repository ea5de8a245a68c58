import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as breathe } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { parseServerAddress } from '../../connect/server-address.ts'
import { digestOf } from '../../digest/sha256.ts'
import { gateOf } from '../../server/access.ts'
import { artifactKey } from '../../server/artifacts.ts'
import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import { content } from '../../store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../../store/contracts.ts'
import { layoutOf } from '../../store/local/layout.ts'
import { lentFiles } from '../../store/local/lent-files.ts'
import { type LocalStore, openLocalStore } from '../../store/local/local-store.ts'
import { remoteServer } from '../remote-server.ts'
import { goCache } from './go-cache.ts'
import { type GoCommand, goCommand } from './go-command.fixture.ts'
import { goServer } from './go-server.ts'

const ACTION = 'ab'.repeat(32)
const OTHER = 'ba'.repeat(32)
const WRITE = 'a-token-that-writes-0123'
const READ = 'a-token-that-reads-01234'

interface Machine extends AsyncDisposable {
  readonly go: GoCommand
  readonly store: LocalStore
  readonly lent: string
  readonly faults: string[]
  readonly down: string[]
}

/** A folder of its own each, unless one is given: what one go command left, the next one finds. */
async function machine({
  dir = folder(),
  url,
  token,
}: {
  dir?: string
  url?: string
  token?: string
} = {}): Promise<Machine> {
  const store = await openLocalStore({ dir })
  const { lent } = layoutOf(dir)
  const faults: string[] = []
  const down: string[] = []
  const remote =
    url === undefined
      ? undefined
      : remoteServer(parseServerAddress(url, token === undefined ? {} : { token }), {
          pauseMs: Number.POSITIVE_INFINITY,
          onDown: (why) => down.push(why),
        })
  const server = remote && goServer(remote)
  const onFault = (error: unknown) => void faults.push(String(error))
  const go = goCommand(goCache({ store, lent: lentFiles(lent), server, onFault }))
  return {
    ...{ go, store, lent, faults, down },
    async [Symbol.asyncDispose]() {
      remote?.[Symbol.dispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'recue-go-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Fills what a machine asks a server for. */
async function fill(url: string, bodies: readonly Uint8Array[], token?: string): Promise<void> {
  await using builder = await machine({ url, ...(token !== undefined && { token }) })
  for (const [i, body] of bodies.entries()) await builder.go.put(actionOf(i), body)
  await builder.go.close()
  expect([builder.faults, builder.down]).toEqual([[], []])
}

const actionOf = (i: number) => digestOf(Buffer.from(String(i))).hash
const bytesAt = (path: string | undefined) => readFileSync(path ?? '')
const idOf = (body: Uint8Array) => Buffer.from(digestOf(body).hash, 'hex').toString('base64')

test.each([0, 1, 4_000, 1_048_577, 3_000_000])(
  'an output of %i bytes is had back by a later go command',
  async (size) => {
    const dir = folder()
    const body = content(size, 7)
    const before = Date.now()
    {
      await using first = await machine({ dir })
      expect(await first.go.get(ACTION)).toEqual({ ID: 1, Miss: true })
      const put = await first.go.put(ACTION, body)
      expect(put).toEqual({ ID: 2, DiskPath: expect.stringContaining(first.lent) })
      expect(bytesAt(put.DiskPath).equals(Buffer.from(body))).toBe(true)
      expect(await first.go.close()).toEqual({ ID: 3 })
      expect(first.faults).toEqual([])
    }
    await using second = await machine({ dir })
    const hit = await second.go.get(ACTION)
    expect(hit).toMatchObject({ ID: 1, OutputID: idOf(body), Size: size })
    expect(bytesAt(hit.DiskPath).equals(Buffer.from(body))).toBe(true)
    expect(Date.parse(hit.Time ?? '')).toBeGreaterThanOrEqual(before)
    expect(Date.parse(hit.Time ?? '')).toBeLessThanOrEqual(Date.now())
    // Neither a lent file that went nor one that was changed is missed.
    rmSync(hit.DiskPath ?? '')
    expect(bytesAt((await second.go.get(ACTION)).DiskPath).equals(Buffer.from(body))).toBe(true)
    rmSync(hit.DiskPath ?? '')
    writeFileSync(hit.DiskPath ?? '', content(size, 8))
    expect(bytesAt((await second.go.get(ACTION)).DiskPath).equals(Buffer.from(body))).toBe(true)
    expect(await second.go.get(OTHER)).toMatchObject({ Miss: true })
  },
)

test('an output is found at once by the go command that made it, and a later one takes its place', async () => {
  const dir = folder()
  {
    await using own = await machine({ dir })
    const { go } = own
    const [one, two] = [content(100, 1), content(200, 2)]
    // No answer is waited for in between, as several workers of Go do.
    const said = await Promise.all([go.put(ACTION, one), go.get(ACTION), go.put(ACTION, two), go.get(ACTION)])
    expect(said[1]).toMatchObject({ OutputID: idOf(one), Size: 100 })
    expect(said[3]).toMatchObject({ OutputID: idOf(two), DiskPath: said[2].DiskPath })
    await go.close()
  }
  await using later = await machine({ dir })
  expect((await later.go.get(ACTION)).Size).toBe(200)
})

test('all of the program waits for Go only while nothing else is under way', async () => {
  const dir = folder()
  {
    await using first = await machine({ dir })
    expect(await first.go.get(ACTION)).toMatchObject({ Miss: true })
    await first.go.put(ACTION, content(100, 1))
    await first.go.close()
    // At the start; after the answer from the store; and not while the output is being kept.
    expect(first.go.blocks).toEqual([true, true, false])
  }
  const silent = createServer(() => undefined)
  onTestFinished(() => void silent.close())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as { port: number }
  await using second = await machine({ dir, url: `http://127.0.0.1:${port}` })
  const asked = second.go.get(OTHER)
  expect((await second.go.get(ACTION)).Size).toBe(100)
  expect(await asked).toMatchObject({ Miss: true })
  await second.go.close()
  // Until it is known whether the server answers, too.
  expect(second.go.blocks.slice(0, 3)).toEqual([false, false, false])
})

test('what is not what its name says is refused, and the rest goes on', async () => {
  await using own = await machine()
  const { go, store, lent } = own
  const wrong = await go.put(ACTION, content(100, 1), { outputId: Buffer.alloc(32) })
  expect(wrong.Err).toContain('other content')
  expect((await go.put(ACTION, content(100, 1), { sizeBytes: 99 })).Err).toContain('other content')
  expect((await go.put(OTHER, content(100, 2))).DiskPath).toContain(lent)
  await go.close()
  expect(readdirSync(lent)).toEqual([digestOf(content(100, 2)).hash])
  expect((await store.catalog.usage()).actions).toBe(1)
})

test('a go command that vanishes in the middle of a body leaves what came before it, and nothing of that', async () => {
  await using own = await machine()
  const { go, store, lent } = own
  await go.put(OTHER, content(100, 2))
  await go.vanish(`{"ID":9,"Command":"put","ActionID":"YQ==","OutputID":"YQ==","BodySize":10}\n\n"AAAA`)
  expect(readdirSync(lent)).toHaveLength(1)
  expect((await store.actions.get(scope, artifactKey('go', OTHER))).kind).toBe('hit')
  expect((await store.catalog.usage()).actions).toBe(1)
})

test('where no file can be made, Go is told so and goes on; nothing is kept', async () => {
  await using own = await machine()
  const { go, store, lent } = own
  writeFileSync(lent, 'a file where the folder should be')
  expect((await go.put(ACTION, content(100_000, 1))).Err).toMatch(/ENOTDIR|EEXIST/)
  expect(await go.get(ACTION)).toMatchObject({ Miss: true })
  await go.close()
  expect((await store.catalog.usage()).actions).toBe(0)
})

test('a blob that is damaged or gone is a miss', async () => {
  const dir = folder()
  const body = content(3_000_000, 1)
  await using first = await machine({ dir })
  await first.go.put(ACTION, body)
  await first.go.close()
  rmSync(first.lent, { recursive: true })
  const blobs = readdirSync(join(dir, 'blobs'), { recursive: true, withFileTypes: true }).filter((e) => e.isFile())
  for (const { parentPath, name } of blobs) writeFileSync(join(parentPath, name), content(1000, 3), { flag: 'r+' })
  expect(blobs.length).toBeGreaterThan(0)
  await using second = await machine({ dir })
  expect(await second.go.get(ACTION)).toMatchObject({ ID: 1, Miss: true })
  expect(readdirSync(second.lent)).toEqual([])
})

test('with nothing to keep in, Go has its files as long as it runs', async () => {
  const lent = lentFiles(join(folder(), 'lent'))
  const begin = () => goCommand(goCache({ store: undefined, lent, server: undefined, onFault: () => undefined }))
  const go = begin()
  expect(await go.get(ACTION)).toEqual({ ID: 1, Miss: true })
  expect(bytesAt((await go.put(ACTION, content(50, 1))).DiskPath)).toHaveLength(50)
  expect(bytesAt((await go.get(ACTION)).DiskPath)).toHaveLength(50)
  await go.close()
  const later = begin()
  expect(await later.get(ACTION)).toMatchObject({ Miss: true })
  await later.close()
})

test('what one machine made, another has from the server, with the time it was made, and then from itself', async () => {
  const bodies = [content(0, 1), content(700, 2), content(2_500_000, 3)]
  const server = await temporaryServer()
  await fill(server.url, bodies)
  const dir = folder()
  const times: (string | undefined)[] = []
  {
    await using other = await machine({ dir, url: server.url })
    for (const [i, body] of bodies.entries()) {
      const hit = await other.go.get(actionOf(i))
      expect(hit).toMatchObject({ OutputID: idOf(body), Size: body.length })
      expect(bytesAt(hit.DiskPath).equals(Buffer.from(body))).toBe(true)
      times.push(hit.Time)
    }
    expect(await other.go.get(OTHER)).toMatchObject({ Miss: true })
    await other.go.close()
    expect([other.faults, other.down]).toEqual([[], []])
  }
  await server[Symbol.asyncDispose]()
  await using alone = await machine({ dir })
  for (const [i] of bodies.entries()) expect((await alone.go.get(actionOf(i))).Time).toBe(times[i])
})

test('what is on its way to the server at the end has arrived', async () => {
  await using server = await temporaryServer()
  const remote = remoteServer(parseServerAddress(server.url), { pauseMs: 0, onDown: () => undefined })
  onTestFinished(() => remote[Symbol.dispose]())
  const lent = lentFiles(join(folder(), 'lent'))
  const go = goCommand(goCache({ store: undefined, lent, server: goServer(remote), onFault: () => undefined }))
  for (let i = 0; i < 30; i++) await go.put(actionOf(i), content(1000, i))
  await go.close()
  for (let i = 0; i < 30; i++) expect((await goServer(remote).get(actionOf(i)))?.digest.sizeBytes).toBe(1000)
})

test('while a server is asked, the program does not stand still', async () => {
  const asked = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  await using server = await greeting(async (request, response) => {
    if (request.url === `/go/${OTHER}`) {
      asked.resolve()
      await release.promise
    }
    request.resume()
    response.writeHead(404).end()
  })
  await using own = await machine({ url: server.url })
  const { go } = own
  await go.put(ACTION, content(10, 1))
  while (go.blocks.at(-1) !== true) await Promise.all([go.get(ACTION), breathe()])
  const waiting = go.get(OTHER)
  await asked.promise
  const before = go.blocks.length
  await go.get(ACTION)
  await go.get(ACTION)
  const during = go.blocks.slice(before - 1, before + 1)
  release.resolve()
  expect(await waiting).toMatchObject({ Miss: true })
  await go.close()
  expect(during).toEqual([false, false])
})

test('a server of another instance has nothing of it', async () => {
  await using server = await temporaryServer()
  await fill(server.url, [content(10, 1)])
  const remote = remoteServer(parseServerAddress(server.url, { instance: 'red' }), {
    pauseMs: 0,
    onDown: () => undefined,
  })
  onTestFinished(() => remote[Symbol.dispose]())
  expect(await goServer(remote).get(actionOf(0))).toBeUndefined()
})

test('a token that may only read: hits, and no upload', async () => {
  await using server = await temporaryServer({ gate: gateOf(`read ${READ}\nwrite ${WRITE}\n`, 'tokens') })
  await fill(server.url, [content(100, 1)], WRITE)
  {
    await using reader = await machine({ url: server.url, token: READ })
    expect((await reader.go.get(actionOf(0))).Size).toBe(100)
    await reader.go.put(OTHER, content(100, 2))
    await reader.go.close()
    expect([reader.faults, reader.down]).toEqual([[], []])
  }
  await using another = await machine({ url: server.url, token: READ })
  expect(await another.go.get(OTHER)).toMatchObject({ Miss: true })
})

test('a wrong token is said once, and all is a miss', async () => {
  await using server = await temporaryServer({ gate: gateOf(`write ${WRITE}\n`, 'tokens') })
  await using own = await machine({ url: server.url, token: 'another-token-000' })
  const { go, down, faults } = own
  for (let i = 0; i < 3; i++) expect(await go.get(actionOf(i))).toMatchObject({ Miss: true })
  await go.put(ACTION, content(10, 1))
  await go.close()
  expect([down, faults]).toEqual([[expect.stringContaining('does not know this token')], []])
})

test('a server that goes away costs what is under way, once', async () => {
  const server = await temporaryServer()
  await fill(server.url, [content(100, 1)])
  await using own = await machine({ url: server.url })
  const { go, down, faults, store } = own
  expect((await go.get(actionOf(0))).Size).toBe(100)
  await server[Symbol.asyncDispose]()
  const answers = await Promise.all([1, 2, 3].map((i) => go.get(actionOf(i))))
  expect(answers.map(({ Miss }) => Miss)).toEqual([true, true, true])
  await go.put(ACTION, content(10, 1))
  await go.close()
  expect([down.length, faults]).toEqual([1, []])
  expect((await store.actions.get(scope, artifactKey('go', ACTION))).kind).toBe('hit')
})

test('what is no recue is left alone, and so is what does not answer', async () => {
  const silent = createServer(() => undefined)
  const other = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi')
  })
  for (const [server, why] of [
    [silent, 'did not answer'],
    [other, 'is no recue'],
  ] as const) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    await using own = await machine({ url: `http://127.0.0.1:${port}` })
    const { go, down, faults } = own
    const answers = await Promise.all([1, 2, 3].map((i) => go.get(actionOf(i))))
    expect(answers.map(({ Miss }) => Miss)).toEqual([true, true, true])
    await go.close()
    expect([down, faults]).toEqual([[expect.stringContaining(why)], []])
    server.close()
  }
})

const HI = digestOf(Buffer.from('hi')).hash
const TIME = '2026-01-01T00:00:00Z'

test.each([
  ['with other bytes', 200, { 'recue-output': 'ab'.repeat(32), 'recue-time': TIME }],
  ['with no time', 200, { 'recue-output': HI }],
  ['with a time that is none', 200, { 'recue-output': HI, 'recue-time': 'soon' }],
  ['with no name', 200, { 'recue-time': TIME }],
  ['with a status that is none of success', 500, { 'recue-output': HI, 'recue-time': TIME }],
])('a server that answers %s is no hit', async (_how, status, headers) => {
  await using server = await greeting((_request, response) => {
    response.writeHead(status, { ...headers, 'content-length': '2' }).end('hi')
  })
  await using own = await machine({ url: server.url })
  const { go, store, lent } = own
  mkdirSync(lent)
  expect(await go.get(ACTION)).toMatchObject({ Miss: true })
  await go.close()
  expect(readdirSync(lent)).toEqual([])
  expect((await store.catalog.usage()).actions).toBe(0)
})

/** Greets as a recue does, and answers all else as it is told. */
async function greeting(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createHttpServer((request, response) => {
    if (request.url === '/recue') response.end(JSON.stringify({ server: 'recue', access: 'write', version: '0' }))
    else answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
