import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { action } from '../action-store.contract.ts'
import { blobNamesContract } from '../blob-names.contract.ts'
import { content } from '../content.fixture.ts'
import { type BlobNames, type BlobStore, DEFAULT_SCOPE as scope } from '../contracts.ts'
import { fleetLeasesContract } from '../fleet-leases.contract.ts'
import type { FleetLeases } from '../fleet-leases.ts'
import { memoryFleetLeases } from '../memory/memory-fleet-leases.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import type { Fetches, RemoteEnd } from '../remote/remote-end.ts'
import { type FaultyEnd, faultyEnd } from './faulty-end.fixture.ts'
import { Rendezvous } from './rendezvous.ts'
import { sharded } from './sharded.ts'

function members<End extends RemoteEnd>(ends: readonly End[]) {
  return ends.map((end, i) => ({ name: `server ${i}`, weight: 1, end }))
}

function inTurn<End extends RemoteEnd>(ends: readonly End[], { hash }: Digest): End[] {
  return new Rendezvous(members(ends), 2).of(hash).map((i) => ends[i] as End)
}

test('frames come from an end that answers, and go to both', async () => {
  const ends = [0, 1, 2].map(() => Object.assign(faultyEnd(), { frames: framesOf() }))
  await using all = sharded(members(ends))
  const bytes = content(3_000_000, 1)
  const [first, second] = inTurn(ends, digestOf(bytes))
  const frame = zstdCompressSync(bytes)
  const source = async function* () {
    yield frame.subarray(0, 1000)
    yield frame.subarray(1000)
  }
  await all.frames?.writeFrame(scope, digestOf(bytes), source())
  expect(first?.frames.kept.size).toBe(1)
  expect(second?.frames.kept.size).toBe(1)
  ;(first as (typeof ends)[0]).frames.isDead = true
  const pieces: Uint8Array[] = []
  for await (const piece of (await all.frames?.readFrame(scope, digestOf(bytes))) ?? []) pieces.push(piece)
  expect(zstdDecompressSync(Buffer.concat(pieces)).equals(bytes)).toBe(true)
  ;(second as (typeof ends)[0]).frames.isDead = true
  await expect(all.frames?.readFrame(scope, digestOf(bytes))).rejects.toMatchObject({ code: 'remote.unreachable' })
  await expect(all.frames?.writeFrame(scope, digestOf(bytes), frame)).rejects.toMatchObject({
    code: 'remote.unreachable',
  })
})

function framesOf() {
  const kept = new Map<string, Uint8Array>()
  const frames = {
    ...{ kept, isDead: false },
    async readFrame(_scope: unknown, { hash }: Digest) {
      if (frames.isDead) throw new CacheError('remote.unreachable', 'gone')
      const bytes = kept.get(hash)
      return (
        bytes && {
          async *[Symbol.asyncIterator]() {
            yield bytes
          },
          async [Symbol.asyncDispose]() {},
        }
      )
    },
    async writeFrame(_scope: unknown, { hash }: Digest, bytes: Uint8Array | AsyncIterable<Uint8Array>) {
      if (frames.isDead) throw new CacheError('remote.unreachable', 'gone')
      const pieces: Uint8Array[] = []
      for await (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) pieces.push(piece)
      kept.set(hash, Buffer.concat(pieces))
    },
  }
  return frames
}

/** An end that fetches as it reads. */
function fetchingEnd(): FaultyEnd & { fetches: Fetches } {
  const end = faultyEnd()
  const fetches: Fetches = {
    async fetchInto(scope, digest, near, signal) {
      const bytes = await readWhole(end.blobs, scope, digest, signal)
      if (bytes !== undefined) await near.blobs.write(scope, digest, bytes, signal)
      return bytes !== undefined
    },
  }
  return Object.assign(end, { fetches })
}

test('a blob is fetched from the next end where one has it not or breaks off, and comes to the one that lost it', async () => {
  const bytes = content(5000, 1)
  const digest = digestOf(bytes)
  for (const how of ['lost', 'broken'] as const) {
    const ends = [0, 1, 2].map(fetchingEnd)
    const [first, second] = inTurn(ends, digest) as [FaultyEnd, FaultyEnd]
    const all = sharded(members(ends))
    await all.blobs.write(scope, digest, bytes)
    if (how === 'lost') first.wipe()
    else first.breaksAfter = 100
    const near = memoryStore()
    expect(await all.fetches?.fetchInto(scope, digest, near)).toBe(true)
    expect(Buffer.from((await readWhole(near.blobs, scope, digest)) as Uint8Array)).toEqual(bytes)
    second.wipe()
    await all[Symbol.asyncDispose]()
    expect(await first.blobs.missing(scope, [digest])).toEqual([])
  }
})

test('an end whose bytes are others is given the right ones', async () => {
  const bytes = content(5000, 1)
  const digest = digestOf(bytes)
  const ends = [0, 1, 2].map(fetchingEnd)
  const [first] = inTurn(ends, digest) as [ReturnType<typeof fetchingEnd>]
  const all = sharded(members(ends))
  await all.blobs.write(scope, digest, bytes)
  first.fetches.fetchInto = async () => Promise.reject(new CacheError('store.corrupt', 'others'))
  expect(await all.fetches?.fetchInto(scope, digest, memoryStore())).toBe(true)
  await all[Symbol.asyncDispose]()
  expect(first.asked.filter((name) => name === 'write')).toHaveLength(2)
})

test('what no end has is not fetched; where none answers, or there is no room here, that is told', async () => {
  const ends = [0, 1].map(fetchingEnd)
  await using all = sharded(members(ends))
  const bytes = content(5000, 1)
  const digest = digestOf(bytes)
  const near = memoryStore()
  expect(await all.fetches?.fetchInto(scope, digest, near)).toBe(false)
  const [first, second] = inTurn(ends, digest) as [FaultyEnd, FaultyEnd]
  first.isDead = true
  expect(await all.fetches?.fetchInto(scope, digest, near)).toBe(false)
  second.isDead = true
  await expect(all.fetches?.fetchInto(scope, digest, near)).rejects.toMatchObject({ code: 'remote.unreachable' })
  first.isDead = second.isDead = false
  await all.blobs.write(scope, digest, bytes)
  const full: Pick<BlobStore, 'write'> = {
    write: async () => Promise.reject(new CacheError('store.full', 'no room')),
  }
  const before = second.asked.length
  await expect(all.fetches?.fetchInto(scope, digest, { blobs: full })).rejects.toMatchObject({ code: 'store.full' })
  expect(second.asked).toHaveLength(before)
})

function namingEnd(): FaultyEnd & { names: BlobNames } {
  const end = faultyEnd()
  const known: Digest[] = [EMPTY_DIGEST]
  const { write } = end.blobs
  Object.assign(end.blobs, {
    write: async (...args: Parameters<typeof write>) => {
      await write(...args)
      known.push(args[1])
    },
  })
  const digestOf = async (_scope: unknown, hash: string) => {
    if (end.isDead) throw new CacheError('remote.unreachable', 'gone')
    return known.find((digest) => digest.hash === hash)
  }
  return Object.assign(end, { names: { digestOf } })
}

blobNamesContract('sharded', async () => {
  const all = sharded(members([0, 1, 2].map(namingEnd)))
  return { ...all, names: all.names as BlobNames }
})

test('a name is found at the end that is there', async () => {
  const ends = [0, 1, 2].map(namingEnd)
  await using all = sharded(members(ends))
  const digest = digestOf(content(10, 1))
  await all.blobs.write(scope, digest, content(10, 1))
  const [first, second] = inTurn(ends, digest) as [FaultyEnd, FaultyEnd]
  first.isDead = true
  expect(await all.names?.digestOf(scope, digest.hash)).toEqual(digest)
  second.isDead = true
  await expect(all.names?.digestOf(scope, digest.hash)).rejects.toMatchObject({ code: 'remote.unreachable' })
})

function leasingEnds(count: number) {
  const all = Array.from({ length: count }, () => memoryFleetLeases())
  const asked: number[] = []
  const dead = new Set<number>()
  const ends = all.map((leases, i) => {
    const fleetLeases: FleetLeases = {
      hold: async (...args) => {
        asked.push(i)
        if (dead.has(i)) throw new CacheError('remote.unreachable', 'gone')
        return leases.hold(...args)
      },
      usual: async (...args) => {
        if (dead.has(i)) throw new CacheError('remote.unreachable', 'gone')
        return leases.usual(...args)
      },
    }
    return { ...faultyEnd(), fleetLeases }
  })
  return { ends, asked, dead }
}

fleetLeasesContract(async () => {
  const { ends } = leasingEnds(3)
  const [one, other] = [sharded(members(ends)), sharded(members(ends))]
  return {
    ...{ one: one.fleetLeases as FleetLeases, other: other.fleetLeases as FleetLeases },
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]()
      await other[Symbol.asyncDispose]()
    },
  }
})

test('a lease is at the first end of its action that can be asked', async () => {
  const { ends, asked, dead } = leasingEnds(4)
  await using all = sharded(members(ends))
  const places = new Rendezvous(members(ends), 2).of(action('a').hash) as [number, number]
  const hold = () => all.fleetLeases?.hold(scope, action('a'), { label: '' })
  expect(await hold()).toMatchObject({ kind: 'held' })
  dead.add(places[0])
  expect(await hold()).toMatchObject({ kind: 'held' })
  dead.add(places[1])
  await expect(hold()).rejects.toMatchObject({ code: 'remote.unreachable' })
  expect(asked).toEqual([places[0], ...places, ...places])
})

test('what not all ends have is not there', async () => {
  const names: BlobNames = { digestOf: async () => undefined }
  const mixed = sharded(members([{ ...faultyEnd(), names }, faultyEnd()]))
  for (const member of ['names', 'frames', 'fetches', 'fleetLeases'] as const) expect(member in mixed).toBe(false)
  expect('names' in sharded(members([0, 1].map(() => ({ ...faultyEnd(), names }))))).toBe(true)
})
