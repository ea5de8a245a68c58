import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Digest } from '../src/digest/digest.ts'
import { asActionDigest } from '../src/digest/digest.ts'
import { digestOf, sha256Hex } from '../src/digest/sha256.ts'
import { ActionResult } from '../src/proto/build/bazel/remote/execution/v2/remote_execution.ts'
import { content } from '../src/store/content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../src/store/contracts.ts'
import { openRemote } from '../src/store/remote/open-remote.ts'
import type { RemoteEnd } from '../src/store/remote/remote-end.ts'
import { Rendezvous } from '../src/store/sharded/rendezvous.ts'
import { sharded as shardedEnds } from '../src/store/sharded/sharded.ts'
import { type Benchmark, type BenchOptions, type Row, runAlone, scaled, skippedRow } from './benchmark.ts'
import { installed } from './installed.ts'
import { inPlace } from './place.ts'
import { type Serving, serveRecue } from './served.ts'

/**
 * Several `recue serve` as one, by rendezvous hashing. What moves when one of N comes is compared with 1/N. Four servers against one: the
 * same requests, and the processor time of the busiest of four against that of the one; with a core for each server, the fleet is as
 * fast as its busiest. Then one of five goes, and everything is asked for five times.
 */
export const sharded: Benchmark = {
  name: 'sharded',
  run: async (options) => {
    const moved = [5, 10, 20].map((members) => movedRow(members, scaled(200_000, options)))
    if (!installed('taskset')) return [...moved, skippedRow('four servers', 'taskset is not installed')]
    return [...moved, ...(await inPlace('sharded', (folder) => measure(folder, options)))]
  },
}

/** Four servers do at least 3.4 times the work of one. */
const BUSIEST_BAR = 1 / 3.4

function movedRow(members: number, keys: number): Row {
  const many = Array.from({ length: members }, (_, i) => ({ name: `server ${i}`, weight: 1 }))
  const [before, after] = [new Rendezvous(many.slice(1), 1), new Rendezvous(many, 1)]
  let moved = 0
  for (let i = 0; i < keys; i++) {
    const key = sha256Hex(`${i}`)
    if ((before.of(key)[0] as number) + 1 !== after.of(key)[0]) moved++
  }
  return {
    what: `keys that move when one of ${members} servers comes`,
    ours: `${((100 * moved) / keys).toFixed(2)} %`,
    theirs: `1/N ${(100 / members).toFixed(2)} %`,
    ratio: (moved / keys) * members,
    bar: 1.05,
  }
}

/** Requests under way. */
const WAITING = 64

interface Asking {
  readonly what: string
  readonly scheme: 'http' | 'grpc'
  readonly ask: (end: RemoteEnd, thing: Thing) => Promise<boolean>
  /** Of each server, on average: as many before that are not counted, until its runtime has compiled what is used most. */
  readonly requests: number
}

const ASKINGS: readonly Asking[] = [
  { what: 'a blob of 10 KiB (HTTP)', scheme: 'http', ask: askBlob, requests: 6000 },
  { what: 'a result and its 10 blobs of 10 KiB (gRPC)', scheme: 'grpc', ask: askResult, requests: 1200 },
]

async function measure(folder: string, options: BenchOptions): Promise<Row[]> {
  const things = thingsOf(scaled(600, options, 50))
  const rows: Row[] = []
  for (const asking of ASKINGS) {
    const alone = await spent(folder, 'each all', things, asking, options)
    const together = await spent(folder, 'each a share', things, asking, options)
    const one = alone.reduce((sum, micros) => sum + micros)
    const busiest = Math.max(...together)
    rows.push({
      what: `processor time of the busiest of four servers for ${asking.what}`,
      ours: `${busiest.toFixed(0)} us`,
      theirs: `one server ${one.toFixed(0)} us`,
      ratio: busiest / one,
      bar: BUSIEST_BAR,
    })
  }
  for (const replicas of [1, 2]) rows.push(await afterOneIsGone(folder, things.slice(0, 200), replicas))
  return rows
}

interface Thing {
  readonly key: Digest
  readonly blobs: readonly Buffer[]
  readonly digests: readonly Digest[]
}

function thingsOf(count: number): Thing[] {
  return Array.from({ length: count }, (_, i) => {
    const blobs = Array.from({ length: 10 }, (_, j) => content(10_240, i * 10 + j))
    return { key: digestOf(Buffer.from(`action ${i}`)), blobs, digests: blobs.map(digestOf) }
  })
}

async function put(end: RemoteEnd, { key, blobs, digests }: Thing): Promise<void> {
  await Promise.all(blobs.map((bytes, i) => end.blobs.write(scope, digests[i] as Digest, bytes)))
  const file = (digest: Digest, i: number) => ({
    path: `f${i}`,
    digest,
    isExecutable: false,
    contents: Buffer.alloc(0),
  })
  const result = { ...ActionResult.decode(new Uint8Array(0)), outputFiles: digests.map(file) }
  await end.actions.put(scope, asActionDigest(key), result)
}

/** Whether all was there. */
async function askResult(end: RemoteEnd, { key, digests }: Thing): Promise<boolean> {
  if ((await end.actions.get(scope, asActionDigest(key))).kind === 'miss') return false
  let found = 0
  for await (const { bytes } of end.blobs.readBatch(scope, digests)) if (bytes !== undefined) found++
  return found === digests.length
}

async function askBlob(end: RemoteEnd, { digests }: Thing): Promise<boolean> {
  for await (const { bytes } of end.blobs.readBatch(scope, digests.slice(0, 1))) return bytes !== undefined
  return false
}

/**
 * Microseconds of each of four servers for one request. `each all`: each has everything, and is asked every fourth time, so that
 * together they spend what one would; the machine is as busy then as with shares, and that does not enter.
 */
async function spent(
  folder: string,
  who: 'each all' | 'each a share',
  things: readonly Thing[],
  { scheme, ask, requests }: Asking,
  options: BenchOptions,
): Promise<number[]> {
  await using fleet = await fleetOf(folder, 4)
  const places = who === 'each all' ? [[0], [1], [2], [3]] : [[0, 1, 2, 3]]
  await using stack = new AsyncDisposableStack()
  const ends = await Promise.all(places.map((each) => fleet.open(each, scheme)))
  for (const end of ends) {
    stack.use(end)
    for (const thing of things) await put(end, thing)
  }
  const count = scaled(requests, options) * 4
  const askAll = async () => {
    const left = Array.from({ length: count }, (_, i) => i).values()
    const worker = async () => {
      for (const i of left) {
        const end = ends[i % ends.length] as RemoteEnd
        // Not those of the same four for each server.
        const thing = things[Math.floor(i / ends.length) % things.length] as Thing
        if (!(await ask(end, thing))) throw new Error('a miss')
      }
    }
    await Promise.all(Array.from({ length: WAITING }, worker))
  }
  await askAll()
  const before = fleet.servers.map((server) => server.cpuMicros())
  await askAll()
  return fleet.servers.map((server, i) => (server.cpuMicros() - (before[i] as number)) / count)
}

async function afterOneIsGone(folder: string, things: readonly Thing[], replicas: number): Promise<Row> {
  await using fleet = await fleetOf(folder, 5)
  {
    await using end = await fleet.open([0, 1, 2, 3, 4], 'grpc', replicas)
    for (const thing of things) await put(end, thing)
  }
  await fleet.servers[4]?.[Symbol.asyncDispose]()
  await using end = await fleet.open([0, 1, 2, 3], 'grpc', replicas)
  const hits: number[] = []
  let failed = 0
  for (let round = 0; round < 5; round++) {
    let found = 0
    for (const thing of things) {
      try {
        if (await askResult(end, thing)) found++
        // As a build does that misses.
        else await put(end, thing)
      } catch {
        failed++
      }
    }
    hits.push((100 * found) / things.length)
  }
  return {
    what: `hits after one of five servers has gone, ${replicas} of each: first, second, last time around`,
    ours: `${[0, 1, 4].map((round) => hits[round]?.toFixed(1)).join(', ')} %, ${failed} failed`,
    theirs: 'all',
    ratio: 100 / (hits[0] as number),
    ...(replicas > 1 && { bar: 1 }),
  }
}

interface Fleet extends AsyncDisposable {
  readonly servers: readonly Serving[]
  open(places: readonly number[], scheme: 'http' | 'grpc', replicas?: number): Promise<RemoteEnd>
}

let fleets = 0

async function fleetOf(folder: string, count: number): Promise<Fleet> {
  const home = path.join(folder, `fleet-${fleets++}`)
  const servers: Serving[] = []
  for (let i = 0; i < count; i++) {
    const own = path.join(home, `${i}`)
    mkdirSync(own, { recursive: true })
    servers.push(await serveRecue(own, 'executable'))
  }
  const gone = new Set<Serving>()
  const stopped = servers.map((server) => ({
    ...server,
    async [Symbol.asyncDispose]() {
      if (gone.has(server)) return
      gone.add(server)
      await server[Symbol.asyncDispose]()
    },
  }))
  return {
    servers: stopped,
    async open(places, scheme, replicas = 2) {
      const ends = places.map(async (i) => {
        const { host, port } = (stopped[i] as Serving)[scheme] as Serving['http']
        return { name: `server ${i}`, weight: 1, end: await openRemote(`${scheme}://${host}:${port}`) }
      })
      return shardedEnds(await Promise.all(ends), { replicas })
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(stopped.map((server) => server[Symbol.asyncDispose]()))
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runAlone(sharded)
