import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { temporaryServer } from '../../server/temporary-server.fixture.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { type ActionStore, type BlobStore, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { faultyHttp, faultyPort } from '../remote/fault-servers.fixture.ts'
import { openRemote } from '../remote/open-remote.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { breakerFile } from './breaker-file.ts'
import { type GuardEvent, hearGuard } from './guard-events.ts'
import type { GuardLimits } from './guard-limits.ts'
import { guarded } from './guarded.ts'

let used: AsyncDisposableStack
let dir: string
beforeEach(() => {
  used = new AsyncDisposableStack()
  dir = mkdtempSync(join(tmpdir(), 'recue-guarded-'))
  used.defer(() => rmSync(dir, { recursive: true, force: true }))
})
afterEach(() => used.disposeAsync())

/** As a process has it that begins now. */
async function open(address: string, limits: Partial<GuardLimits> = {}): Promise<RemoteEnd> {
  const end = await openRemote(address)
  return used.use(guarded(end, { place: address, memory: breakerFile(dir, address), limits }))
}

const isOpen = { code: 'remote.unreachable', context: { isOpen: true } }
const large = content(3_000_000, 2)

/** Resolves when that is told. */
function told(kind: GuardEvent['kind']): Promise<GuardEvent> {
  const { promise, resolve } = Promise.withResolvers<GuardEvent>()
  const hearing = hearGuard((event) => event.kind === kind && resolve(event))
  used.use(hearing)
  return promise
}

describe.each(['grpc', 'http', 'https'])('%s', (scheme) => {
  test.each<[string, (socket: Socket) => void, RegExp]>([
    ['takes connections and says nothing', () => undefined, /^remote\.timed-out$/],
    ['hangs up', (socket) => socket.destroy(), /^remote\.(unreachable|incompatible|timed-out)$/],
    ['resets', (socket) => socket.resetAndDestroy(), /^remote\.(unreachable|incompatible|timed-out)$/],
  ])('an end that %s is asked by one process and left alone by those after it', async (_, meet, code) => {
    let connections = 0
    const server = used.use(
      await faultyPort((socket) => {
        connections++
        meet(socket)
      }),
    )
    const address = `${scheme}://${server.address}`
    const first = await open(address)
    await expect(first.actions.get(scope, action('a'))).rejects.toMatchObject({
      code: expect.stringMatching(code),
    })
    const before = connections
    for (const end of [first, await open(address)]) {
      await expect(end.actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
      await expect(end.blobs.write(scope, digestOf(large), large)).rejects.toMatchObject(isOpen)
    }
    expect(connections).toBe(before)
  })
})

test('an end that is not there is left alone, and found again when it is', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as { port: number }
  await new Promise((resolve) => holder.close(resolve))
  const address = `http://127.0.0.1:${port}`
  const limits = { coolDownMs: 1, coolDownPerLostMs: 0 }
  const first = await open(address, limits)
  await expect(first.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.unreachable' })
  used.use(await temporaryServer({ http: { kind: 'tcp', host: '127.0.0.1', port } }))
  const isBack = told('closed')
  const next = await open(address, limits)
  // Each is answered at once; one of them looks.
  const asking = (async () => {
    while (
      await next.actions.get(scope, action('a')).then(
        () => false,
        () => true,
      )
    )
      await new Promise(setImmediate)
  })()
  await isBack
  await asking
  expect(await (await open(address)).actions.put(scope, action('a'), result([]))).toBe('new')
})

test.each<[string, (response: ServerResponse) => void]>([
  ['dies half-way', (response) => response.write(large.subarray(0, 1_000_000), () => response.destroy())],
  ['stands still half-way', (response) => response.write(large.subarray(0, 1_000_000))],
])('a blob that %s is given up, and not a byte of it handed out', async (_, send) => {
  const server = used.use(
    await faultyHttp((_request, response) => {
      response.writeHead(200, { 'content-length': large.length })
      send(response)
    }),
  )
  const { blobs } = await open(server.address, { graceMs: 200, floorBytesPerSecond: 100 << 20 })
  let bytes = 0
  const read = async () => {
    for await (const piece of (await blobs.read(scope, digestOf(large))) ?? []) bytes += piece.length
  }
  await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/^remote\.(unreachable|timed-out)$/) })
  expect(bytes).toBe(0)
  await expect(blobs.read(scope, digestOf(large))).rejects.toMatchObject(isOpen)
})

test('an end that has no room is asked for what it has, and not to keep more for a while; a disk here that is full says nothing of it', async () => {
  const store = memoryStore()
  let asked = 0
  const where: { server?: string } = { server: 'there' }
  const write = async () => {
    asked++
    throw new CacheError('store.full', 'no room', { context: where })
  }
  const end = { ...store, blobs: { ...store.blobs, missing: store.blobs.missing.bind(store.blobs), write } as never }
  const { actions, blobs } = used.use(
    guarded({ ...end, [Symbol.asyncDispose]: async () => undefined }, { place: 'there' }),
  )
  const keep = () => blobs.write(scope, digestOf(large), large)
  for (let i = 0; i < 5; i++) await expect(keep()).rejects.toMatchObject({ code: 'store.full' })
  expect(asked).toBe(1)
  expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'miss' })
  expect(await blobs.missing(scope, [digestOf(large)])).toHaveLength(1)
  delete where.server
  const other = used.use(
    guarded({ ...end, [Symbol.asyncDispose]: async () => undefined }, { place: 'there', limits: { mostFailures: 1 } }),
  )
  for (let i = 0; i < 5; i++)
    await expect(other.blobs.write(scope, digestOf(large), large)).rejects.toMatchObject({ code: 'store.full' })
  expect(asked).toBe(6)
})

test.each(['grpc', 'http'] as const)(
  '%s says how much has come, by which what is slow is told from what is dead',
  async (scheme) => {
    const address = used.use(await temporaryServer()).url.replace('http', scheme)
    const { blobs, receivedBytes } = await open(address)
    await blobs.write(scope, digestOf(large), large)
    const before = receivedBytes?.() ?? 0
    await using bytes = await blobs.read(scope, digestOf(large))
    expect(bytes).toBeDefined()
    expect((receivedBytes?.() ?? 0) - before).toBeGreaterThan(1_000_000)
  },
)

test('wrong bytes are asked for once, and are never handed out', async () => {
  const small = content(5_000, 1)
  const server = used.use(await faultyHttp((_request, response) => response.end(Buffer.alloc(5_000))))
  const { blobs } = await open(server.address)
  const read = async () => {
    for await (const _ of (await blobs.read(scope, digestOf(small))) ?? []) throw new Error('bytes')
  }
  await expect(read()).rejects.toMatchObject({ code: 'store.corrupt' })
  expect(server.asked).toHaveLength(1)
})

test('faults of blobs that lie elsewhere say nothing of the end of the results', async () => {
  const { actions: results, blobs } = memoryStore()
  const down = new CacheError('remote.unreachable', 'elsewhere is down')
  const fails = () => Promise.reject(down)
  async function* breaks(): AsyncGenerator<never> {
    yield await fails()
  }
  const readAll = async (items: AsyncIterable<unknown> | undefined) => {
    for await (const _ of items ?? []);
  }
  const broken = { [Symbol.asyncIterator]: breaks, [Symbol.asyncDispose]: async () => undefined }
  const ways: readonly ((others: BlobStore) => Promise<unknown>)[] = [
    (others) => others.missing(scope, [digestOf(large)]),
    (others) => others.read(scope, digestOf(large)),
    (others) => readAll(others.readBatch(scope, [digestOf(large)])),
    (others) => others.write(scope, digestOf(large), large),
    // The one that is opened, and breaks off.
    async (others) => readAll(await others.read(scope, digestOf(large), { offset: 1 })),
  ]
  for (const ask of ways) {
    let isDown = true
    const elsewhere: BlobStore = {
      missing: fails,
      read: async (_, __, options) => (options?.offset === 1 ? broken : fails()),
      readBatch: breaks,
      write: fails,
    }
    const actionsOver = (others: BlobStore): ActionStore => ({
      async get(...asked) {
        if (isDown) await ask(others)
        return results.get(...asked)
      },
      put: (...asked) => results.put(...asked),
      remove: (...asked) => results.remove(...asked),
    })
    const end = { blobs, actions: results, actionsOver, [Symbol.asyncDispose]: async () => undefined }
    const actions = used.use(guarded(end, { place: 'results' })).actionsOver?.(elsewhere) as ActionStore
    // Far more than any breaker bears of its own end.
    for (let i = 0; i < 20; i++) await expect(actions.get(scope, action(`${i}`))).rejects.toBe(down)
    isDown = false
    expect(await actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
  }
})
