import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runtimes } from '../e2e/runtimes.ts'
import { skipIf } from '../e2e/skip-if.ts'
import { Bombs } from './bombs.ts'
import { brokenOff } from './broken-off.ts'
import { opened } from './door.ts'
import { type Campaign, findingsOf } from './findings.ts'
import { garbledCall, isMissing, wrongCall } from './grpc-attempts.ts'
import { GrpcClient } from './grpc-client.ts'
import { garbage, HttpPool, oddKey, withoutToken, wrongName } from './http-attempts.ts'
import { HTTP_PROTOCOLS } from './http-protocols.ts'
import { type GoodEntry, keepGoodEntries, LARGE_BYTES, largeName, lostOf } from './known-good.ts'
import { malformedHttp1 } from './malformed-http1.ts'
import { malformedHttp2 } from './malformed-http2.ts'
import { seed } from './random.ts'
import { type Held, Servers } from './servers.ts'

const KINDS = {
  oddKeys: { kind: 'keys of any form', cases: 11_000 },
  wrongNames: { kind: 'bytes under the name of others', cases: 4_000 },
  garbage: { kind: 'bodies that are nearly right', cases: 5_000 },
  tokens: { kind: 'tokens that are none', cases: 2_000 },
  http1: { kind: 'HTTP/1.1 that is none', cases: 4_000 },
  http2: { kind: 'HTTP/2 that is none', cases: 4_000 },
  garbled: { kind: 'streams that are nearly calls', cases: 12_000, width: 32 },
  wrong: { kind: 'calls with one thing that is wrong', cases: 8_000, width: 32 },
  bombs: { kind: 'little that becomes much', cases: 60, width: 4 },
  gone: { kind: 'clients that go away', cases: 1_500 },
} as const satisfies Record<string, Campaign>

const FEWEST = 100_000
/** More would be a leak; what a runtime keeps of the memory that it once had is less. */
const MOST_GROWTH_MIB = 400
const MOST_PEAK_MIB = 900
/** Connections that say a byte and then nothing. */
const SILENT = 100

test('there are a hundred thousand cases and more', () => {
  const cases = Object.values(KINDS).reduce((sum, kind) => sum + kind.cases, 0) * runtimes.length
  console.log(`RECUE_FUZZ_SEED=${seed}: ${cases} cases`)
  expect(cases).toBeGreaterThanOrEqual(FEWEST)
})

describe.each(runtimes)('served by $name', (runtime) => {
  let servers: Servers
  let pool: HttpPool
  let clients: GrpcClient[]
  let good: GoodEntry[]
  let large: { path: string; name: string }
  let held: (Held | undefined)[]
  let files: string[]
  let silent: Socket[]

  beforeAll(async () => {
    servers = await Servers.start(runtime)
    held = servers.all.map(({ process }) => process.held())
    pool = new HttpPool()
    clients = servers.all.map(({ grpc, headers }) => new GrpcClient(grpc, headers))
    const first = servers.of(0)
    good = await keepGoodEntries((asked) => pool.with(first, (ask) => ask(asked)), clients[0] as GrpcClient)
    const nx = good.find(({ name }) => name === 'nx') as GoodEntry
    const bytes = good.find(({ name }) => name === 'byte-stream') as GoodEntry
    expect([nx.bytes.length, bytes.bytes.length]).toEqual([LARGE_BYTES, LARGE_BYTES])
    large = { path: `/cas/${largeName(bytes.bytes).split('/')[1]}`, name: largeName(bytes.bytes) }
    for (const server of servers.all) await pool.with(server, (ask) => ask({ method: 'GET', target: '/healthz' }))
    await leave()
    files = servers.files()
    silent = await Promise.all(Array.from({ length: SILENT }, (_, i) => opened(servers.of(i).http)))
    for (const [i, socket] of silent.entries()) socket.write(['P', 'G', 'PR', 'GET / HTTP/1.1\r\nx'][i % 4] as string)
  })
  afterAll(() => servers?.[Symbol.asyncDispose]())

  /** Closes all that good clients hold open. */
  async function leave() {
    pool[Symbol.dispose]()
    pool = new HttpPool()
    for (const client of clients) client[Symbol.dispose]()
  }

  const clientOf = (index: number) => clients[index % clients.length] as GrpcClient
  /** Whoever asks in between, of another connection. */
  const isThereAt = (index: number) => (target: string) =>
    pool.with(servers.of(index), async (ask) => {
      const headers = HTTP_PROTOCOLS.find(({ prefix }) => target.startsWith(`${prefix}/`))?.headers ?? {}
      return (await ask({ method: 'GET', target, headers }))?.status === 200
    })

  /** The cases; then that nothing has come of them. */
  async function during(campaign: Campaign, attempt: Parameters<typeof findingsOf>[1]) {
    const start = performance.now()
    expect(await findingsOf(campaign, attempt)).toEqual([])
    console.log(`${runtime.name}: ${campaign.kind}, ${((performance.now() - start) / 1000).toFixed(1)} s`)
    for (const [i, server] of servers.all.entries()) {
      expect(server.process.isAlive, server.process.errors.join('\n')).toBe(true)
      expect(server.process.errors).toEqual([])
      const health = await pool.with(server, (ask) => ask({ method: 'GET', target: '/healthz' }))
      expect(health).toMatchObject({ status: 200, body: Buffer.from('ok\n') })
      expect(await clientOf(i).call({ path: '/grpc.health.v1.Health/Check', body: Buffer.alloc(5) })).toMatchObject({
        code: 0,
      })
    }
    expect(await lostOf(good)).toEqual([])
  }

  test(KINDS.oddKeys.kind, () =>
    during(KINDS.oddKeys, (random, i) => pool.with(servers.of(i), (ask) => oddKey(ask, random))),
  )

  test(KINDS.wrongNames.kind, () =>
    during(KINDS.wrongNames, (random, i) => pool.with(servers.of(i), (ask) => wrongName(ask, random))),
  )

  test(KINDS.garbage.kind, () =>
    during(KINDS.garbage, (random, i) => pool.with(servers.of(i), (ask) => garbage(ask, random))),
  )

  test(KINDS.tokens.kind, () =>
    during(KINDS.tokens, (random) => pool.with(servers.of(1), (ask) => withoutToken(ask, random))),
  )

  test(KINDS.http1.kind, () => during(KINDS.http1, (random, i) => malformedHttp1(servers.of(i), random, isThereAt(i))))

  test(KINDS.http2.kind, () => during(KINDS.http2, (random, i) => malformedHttp2(servers.of(i), random, isThereAt(i))))

  test(KINDS.garbled.kind, () => during(KINDS.garbled, (random, i) => garbledCall(clientOf(i), random)))

  test(KINDS.wrong.kind, () => during(KINDS.wrong, (random, i) => wrongCall(clientOf(i), random)))

  test(KINDS.bombs.kind, () => {
    const bombs = new Bombs()
    return during(KINDS.bombs, (random, i) => bombs.throwAt(clientOf(i), random))
  })

  test(KINDS.gone.kind, () =>
    during(KINDS.gone, (random, i) =>
      brokenOff(servers.of(i), random, {
        isThere: isThereAt(i),
        isMissing: (digest) => isMissing(clientOf(i), digest),
        largePath: large.path,
        largeName: large.name,
      }),
    ),
  )

  test('whoever says a byte and then nothing is seen off', async () => {
    // They are half-open: it is the server that ends them.
    await Promise.all(
      silent.map(
        (socket) =>
          socket.readableEnded ||
          socket.destroyed ||
          Promise.race([once(socket, 'end'), once(socket.resume(), 'close')]),
      ),
    )
    for (const socket of silent) socket.destroy()
  }, 60_000)

  test('nothing is held open, and memory is what it was', async (context) => {
    skipIf(held.includes(undefined) && 'this system does not tell of open files', context)
    await leave()
    for (const [i, { process }] of servers.all.entries()) {
      const before = held[i] as Held
      const after = (await process.atRest(before.sockets)) as Held
      console.log(
        `${runtime.name}, ${servers.of(i).name}: ${before.residentMiB} → ${after.residentMiB} MiB, at most ${after.peakMiB}; ${after.files.length} files, ${after.sockets} sockets`,
      )
      expect(after.sockets).toBeLessThanOrEqual(before.sockets)
      expect(
        after.files.filter(
          (file) => file.includes('/cache/tmp/') || file.includes('(deleted)') || file.includes('/blobs/'),
        ),
      ).toEqual([])
      expect(after.files.length - before.files.length).toBeLessThanOrEqual(8)
      expect(after.residentMiB - before.residentMiB).toBeLessThan(MOST_GROWTH_MIB)
      expect(after.peakMiB).toBeLessThan(MOST_PEAK_MIB)
    }
  })

  test('all that is kept is what its name says, and nothing lies elsewhere', async () => {
    expect(await lostOf(good)).toEqual([])
    await leave()
    expect(await servers.end()).toEqual([0, 0, 0])
    expect(servers.files()).toEqual(files)
    expect(servers.strangers()).toEqual([])
    const scrubbed = await servers.command('scrub', '--all', '--json')
    expect(JSON.parse(scrubbed.said)).toMatchObject({ damagedBlobs: 0, isDone: true })
    const doctor = await servers.command('doctor', '--verify')
    expect(doctor, doctor.said).toMatchObject({ code: 0 })
  })
})
