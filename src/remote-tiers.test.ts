import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunNotice } from './action/run-outcome.ts'
import { type Cache, type CacheOptions, openCache } from './cache.ts'
import type { ActionDigest } from './digest/digest.ts'
import { CacheError } from './errors.ts'
import type { RemoteCacheOptions } from './remote-tiers.ts'

let folder: string
let server: Awaited<ReturnType<typeof keepingServer>>
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'recue-remote-tiers-'))
  server = await keepingServer()
})
afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Keeps what it is sent, as Bazel's HTTP layout has it. */
async function keepingServer() {
  const kept = new Map<string, Buffer>()
  const asked: string[] = []
  const shown = new Set<string | undefined>()
  /** Whose writes are refused. */
  const rights = { refuse: (_token: string | undefined): boolean => false }
  const http = createServer(async (request, response) => {
    const url = request.url ?? ''
    asked.push(`${request.method} ${url}`)
    shown.add(request.headers.authorization)
    const body = Buffer.concat(await request.toArray())
    if (request.method === 'PUT' && rights.refuse(request.headers.authorization))
      return void response.writeHead(403).end()
    if (request.method === 'PUT') kept.set(url, body)
    const found = kept.get(url)
    const said = request.method === 'PUT' ? undefined : found
    response.writeHead(found === undefined ? 404 : 200, { 'content-length': said?.length ?? 0 })
    response.end(request.method === 'GET' ? said : undefined)
  }).listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    address: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    ...{ kept, asked, shown, rights },
    async close() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

/** Its remote has time to answer, however busy this machine is. */
function machine(name: string, { remote, ...options }: CacheOptions): Promise<Cache> {
  const named = typeof remote === 'string' ? { address: remote } : remote
  const patient = named && { timeout: '20s', ...named }
  return openCache({ cacheDir: join(folder, name), ...options, ...(patient && { remote: patient }) })
}

/** Whether the work had to be done. */
async function works(cache: Cache, notice: (notice: RunNotice) => void = () => undefined): Promise<boolean> {
  let isDone = false
  const fn = () => {
    isDone = true
    return 'x'.repeat(100_000)
  }
  await cache.run({ name: 'work', fn }, { notice })
  return isDone
}

test('what one program keeps, another has; the first need asks who may', async () => {
  let calls = 0
  const access = async () => {
    calls++
    return { token: 'secret' }
  }
  {
    await using a = await machine('a', { remote: { address: server.address, access, uploadWait: '10s' } })
    expect(calls).toBe(0)
    expect(await works(a)).toBe(true)
  }
  await using b = await machine('b', { remote: { address: server.address, access } })
  expect(await works(b)).toBe(false)
  expect(await works(b)).toBe(false)
  expect(calls).toBe(2)
  expect([...server.shown]).toEqual(['Bearer secret'])
})

test('a look-up and what it names, without a run', async () => {
  const remote = { address: server.address, uploadWait: '10s' }
  const made = await (async () => {
    await using a = await machine('a', { remote })
    const digest = await a.blobs.ingest({ instance: '' }, bytes('content'))
    await works(a)
    return digest
  })()
  const [, action = ''] = /^PUT \/ac\/(\w+)/.exec(server.asked.find((line) => line.startsWith('PUT /ac')) ?? '') ?? []
  await using b = await machine('b', { remote: server.address })
  expect(await b.get({ hash: action, sizeBytes: -1 } as never)).toMatchObject({ kind: 'hit', place: server.address })
  // What no result names was not sent.
  expect(await b.blobs.read({ instance: '' }, made)).toBe(undefined)
})

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

test('nothing is looked for where it is not to be read, and nothing sent where it is not to be written', async () => {
  const { address } = server
  await (await machine('a', { remote: { address, read: false, write: false } })).close()
  {
    await using a = await machine('a', { remote: { address, write: false } })
    await works(a)
  }
  expect(server.asked.length).toBeGreaterThan(0)
  expect(server.kept.size).toBe(0)
  server.asked.length = 0
  await using b = await machine('b', { remote: { address, read: false, uploadWait: '10s' } })
  expect(await works(b)).toBe(true)
  await b.close()
  expect(server.kept.size).toBeGreaterThan(0)
})

test('a run may have another remote than its cache, or none', async () => {
  await using cache = await machine('a', { remote: server.address })
  const work = { name: 'other', fn: () => 1 }
  await cache.run(work, { remote: undefined })
  expect(server.asked).toEqual([])
  await cache.run({ ...work, name: 'third' }, { remote: { address: 'http://127.0.0.1:1' } })
  expect(server.asked).toEqual([])
})

test('a cache that is read-only has no remote', async () => {
  await (await machine('a', {})).close()
  await using cache = await machine('a', { readOnly: true, remote: server.address })
  expect(await works(cache)).toBe(true)
  expect(await cache.get({ hash: 'a'.repeat(64), sizeBytes: 1 } as never)).toMatchObject({ kind: 'miss' })
  expect(server.asked).toEqual([])
})

test('runs of one process may use it in their own ways, by one connection', async () => {
  let calls = 0
  const access = async () => {
    calls++
    return {}
  }
  await using cache = await machine('a', {})
  const remote = { address: server.address, access, uploadWait: '10s', timeout: '20s' }
  const run = (name: string, write: boolean) => cache.run({ name, fn: () => name }, { remote: { ...remote, write } })
  await run('kept here', false)
  await run('sent', true)
  await cache.close()
  expect(server.asked.filter((line) => line.startsWith('PUT /ac'))).toHaveLength(1)
  expect(calls).toBe(1)
})

test('what is wrong is told once, to one who runs; the work is done', async () => {
  const notices: RunNotice[] = []
  const access = () => Promise.reject(new CacheError('remote.untrusted', 'No.', { hint: 'Say so.' }))
  await using cache = await machine('a', { remote: { address: 'http://any:secret@127.0.0.1:1', access } })
  expect(await works(cache, (notice) => notices.push(notice))).toBe(true)
  await cache.run({ name: 'second', fn: () => 1 }, { notice: (notice) => notices.push(notice) })
  expect(notices.filter(({ kind }) => kind === 'warning')).toEqual([
    { kind: 'warning', text: 'No. Say so. Work goes on with what is here.' },
  ])
})

test('no secret of the address is written down', async () => {
  {
    await using cache = await machine('a', { remote: { address: 'http://any:secret@127.0.0.1:1', uploadWait: 0 } })
    await works(cache)
    expect(cache.records.names('upload', '').join()).toContain('127.0.0.1')
    expect(cache.records.names('upload', '').join()).not.toContain('secret')
  }
  expect(readdirSync(join(folder, 'a', 'remotes'))).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)])
})

test('a token that only reads is found out once, and not asked with again for hours; another token is tried', async () => {
  server.rights.refuse = (token) => token !== 'Bearer writes'
  const once = async (name: string, token: string) => {
    server.asked.length = 0
    await using cache = await machine('a', {
      remote: { address: server.address, access: { token }, uploadWait: '10s' },
    })
    await cache.run({ name, fn: () => name })
    return cache.records.names('upload', '').length
  }
  await once('one', 'reads')
  expect(server.asked.some((line) => line.startsWith('PUT'))).toBe(true)
  const left = await once('two', 'reads')
  expect(server.asked.filter((line) => !line.startsWith('GET /ac'))).toEqual([])
  // What was noted down before it was known is all that there is.
  expect(await once('three', 'reads')).toBe(left)
  await once('four', 'writes')
  expect(server.asked.filter((line) => line.startsWith('PUT /ac')).length).toBeGreaterThan(0)
})

describe('outputs that are left at the remote', () => {
  /** Work on another machine, with a cache of its own, in a project of its own. */
  async function build(name: string, remote: Partial<RemoteCacheOptions>, shell: string, outputs: readonly string[]) {
    const root = join(folder, `${name}-project`)
    mkdirSync(join(root, 'src'), { recursive: true })
    writeFileSync(join(root, 'src/a'), 'content')
    const warnings: string[] = []
    const printed: Uint8Array[] = []
    const cache = await machine(name, { remote: { address: server.address, uploadWait: '10s', ...remote } })
    const outcome = await cache.run(
      { shell, root, cwd: root, inputs: ['src'], outputs, implicitInputs: false },
      {
        notice: (notice) => notice.kind === 'warning' && warnings.push(notice.text),
        sink: { stdout: (chunk) => void printed.push(chunk), stderr() {} },
      },
    )
    // What is on its way has arrived by then.
    await cache.close()
    await using offline = await machine(name, {})
    const { kind } = await offline.get(outcome.key as ActionDigest)
    return { ...outcome, warnings, printed: Buffer.concat(printed).toString(), root, isKept: kind === 'hit' }
  }
  const none = { download: 'none' } as const
  const MAKE = 'mkdir -p out; cp src/a out/a; cp src/a one; echo made'

  test('cost no fetch and change nothing; what was printed is printed', async () => {
    await build('a', {}, MAKE, ['out', 'one'])
    server.asked.length = 0
    const left = await build('b', none, MAKE, ['out', 'one'])
    expect(left).toMatchObject({
      status: 'hit',
      source: 'remote',
      isLeft: true,
      outputs: [],
      written: 0,
      printed: 'made\n',
    })
    expect(server.asked.filter((line) => line.includes('/cas/'))).toEqual([])
    expect([left.isKept, left.warnings, readdirSync(left.root)]).toEqual([false, [], ['src']])
    const fetched = await build('c', { download: 'all' }, MAKE, ['out', 'one'])
    expect(fetched).toMatchObject({ isLeft: false, outputs: ['one', 'out/a'], isKept: true })
  })

  test('are as they should be where they stand already', async () => {
    await build('a', {}, MAKE, ['out', 'one'])
    const stands = await build('a', none, MAKE, ['out', 'one'])
    expect(stands).toMatchObject({
      status: 'hit',
      source: 'local',
      isLeft: false,
      outputs: ['one', 'out/a'],
      written: 0,
    })
    rmSync(join(stands.root, 'out'), { recursive: true })
    // What is here is restored, whatever was asked.
    expect(await build('a', none, MAKE, ['out', 'one'])).toMatchObject({ source: 'local', isLeft: false, written: 1 })
  })

  test('are told from what stands in their place', async () => {
    await build('a', {}, MAKE, ['out', 'one'])
    mkdirSync(join(folder, 'b-project/out'), { recursive: true })
    writeFileSync(join(folder, 'b-project/out/own'), 'of the user')
    const left = await build('b', none, MAKE, ['out', 'one'])
    expect(left.isLeft).toBe(true)
    expect(left.warnings).toEqual(['Not of this result, which was not fetched: out. It stays as it was.'])
    expect(readdirSync(join(left.root, 'out'))).toEqual(['own'])
  })

  test('may be a link alone; and where there are none, there is nothing to leave', async () => {
    await build('a', {}, 'ln -s src/a link', ['link'])
    expect(await build('b', none, 'ln -s src/a link', ['link'])).toMatchObject({ source: 'remote', isLeft: true })
    await build('c', {}, 'echo only', [])
    expect(await build('d', none, 'echo only', [])).toMatchObject({
      source: 'remote',
      isLeft: false,
      printed: 'only\n',
    })
  })
})

describe('several remotes', () => {
  test('share all keys; each is shown its own; what one has lost the others have', async () => {
    const others = [await keepingServer(), await keepingServer()]
    const servers = [server, ...others]
    try {
      const access = async (address: string) => ({
        token: `for-${servers.findIndex((each) => each.address === address)}`,
      })
      const address = servers.map((each, i) => `${each.address}#name=server-${i}`).join(',')
      {
        await using a = await machine('a', { remote: { address, access, uploadWait: '10s' } })
        expect(await works(a)).toBe(true)
      }
      const shown = servers.map((each) => [...each.shown])
      for (const [i, tokens] of shown.entries()) expect(tokens).toEqual(tokens.map(() => `Bearer for-${i}`))
      const holders = servers.filter(({ kept }) => [...kept.keys()].some((url) => url.startsWith('/ac/')))
      expect(holders.length).toBeGreaterThan(1)
      holders[0]?.kept.clear()
      await using b = await machine('b', { remote: { address, access } })
      expect(await works(b)).toBe(false)
    } finally {
      for (const other of others) await other.close()
    }
  })

  test('are used all or none: one that may not be used is told of by its own address', async () => {
    const away = 'http://127.0.0.1:1'
    const access = async (address: string) => {
      if (address === away) throw new CacheError('remote.untrusted', `${address} is not used.`)
      return {}
    }
    const notices: RunNotice[] = []
    await using cache = await machine('a', { remote: { address: `${server.address},${away}`, access } })
    expect(await works(cache, (notice) => notices.push(notice))).toBe(true)
    expect(notices.filter(({ kind }) => kind === 'warning')).toEqual([
      { kind: 'warning', text: expect.stringContaining(`${away} is not used.`) },
    ])
    expect(server.asked).toEqual([])
  })
})
