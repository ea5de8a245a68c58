import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Digest, EMPTY_DIGEST } from '../../digest/digest.ts'
import { digestOf, sha256Hex } from '../../digest/sha256.ts'
import { CacheError, isCacheError } from '../../errors.ts'
import { action, actionStoreContract, result } from '../action-store.contract.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { memoryStore } from '../memory/memory-store.ts'
import { readWhole } from '../read-whole.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { type FaultyEnd, faultyEnd } from './faulty-end.fixture.ts'
import { Rendezvous } from './rendezvous.ts'
import { sharded } from './sharded.ts'

interface Fleet extends RemoteEnd {
  readonly ends: readonly FaultyEnd[]
  /** The ends that have a key, the first one first. */
  of(digest: Digest): FaultyEnd[]
}

function fleet(count: number, replicas: number): Fleet {
  const ends = Array.from({ length: count }, (_, i) => faultyEnd(`server ${i}`))
  const shards = ends.map((end, i) => ({ name: `server ${i}`, weight: 1, end }))
  const rendezvous = new Rendezvous(shards, replicas)
  return {
    ...sharded(shards, { replicas }),
    ends,
    of: ({ hash }) => rendezvous.of(hash).map((index) => ends[index] as FaultyEnd),
  }
}

blobStoreContract('sharded', async () => fleet(5, 2))
actionStoreContract('sharded', async () => fleet(5, 2))

const bytes = content(5000, 1)
const buffer = (found: Uint8Array | undefined) => found && Buffer.from(found)
const digest = digestOf(bytes)

test('a blob is in the ends that have its hash, and nowhere else', async () => {
  await using all = fleet(5, 2)
  await all.blobs.write(scope, digest, bytes)
  const has = await Promise.all(all.ends.map(async ({ blobs }) => (await blobs.missing(scope, [digest])).length === 0))
  expect(all.ends.filter((_, i) => has[i]).sort()).toEqual(all.of(digest).sort())
})

test.each([3000, 3_000_000])(
  'a write of %i bytes is done when one end has taken it, also of a stream',
  async (size) => {
    for (const dead of [0, 1]) {
      await using all = fleet(5, 2)
      const large = content(size, 2)
      const ends = all.of(digestOf(large))
      ;(ends[dead] as FaultyEnd).isDead = true
      await all.blobs.write(
        scope,
        digestOf(large),
        (async function* () {
          yield large
        })(),
      )
      expect(await (ends[1 - dead] as FaultyEnd).blobs.missing(scope, [digestOf(large)])).toEqual([])
      for (const end of ends) end.isDead = true
      await expect(all.blobs.write(scope, digestOf(large), large)).rejects.toMatchObject({ code: 'remote.unreachable' })
    }
  },
)

test('a dead end is a miss of that replica; all dead is their fault; one that answers makes it a miss', async () => {
  await using all = fleet(5, 2)
  const [first, second] = all.of(digest) as [FaultyEnd, FaultyEnd]
  await all.blobs.write(scope, digest, bytes)
  first.isDead = true
  expect(buffer(await readWhole(all.blobs, scope, digest))).toEqual(bytes)
  expect(await all.blobs.missing(scope, [digest])).toEqual([])
  for await (const entry of all.blobs.readBatch(scope, [digest])) expect(buffer(entry.bytes)).toEqual(bytes)
  second.isDead = true
  const fault = { code: 'remote.unreachable' }
  await expect(all.blobs.read(scope, digest)).rejects.toMatchObject(fault)
  await expect(all.blobs.missing(scope, [digest])).rejects.toMatchObject(fault)
  await expect(all.blobs.readBatch(scope, [digest])[Symbol.asyncIterator]().next()).rejects.toMatchObject(fault)
  second.isDead = false
  second.wipe()
  expect(await all.blobs.read(scope, digest)).toBeUndefined()
  expect(await all.blobs.missing(scope, [digest])).toEqual([digest])
})

test('of many blobs those on dead ends are missing, as long as somebody answers', async () => {
  await using all = fleet(4, 1)
  const contents = Array.from({ length: 60 }, (_, i) => content(100, i))
  const digests = contents.map(digestOf)
  await Promise.all(contents.map((each, i) => all.blobs.write(scope, digests[i] as Digest, each)))
  ;(all.ends[2] as FaultyEnd).isDead = true
  const lost = digests.filter((each) => all.of(each)[0] === all.ends[2])
  expect(lost.length).toBeGreaterThan(0)
  expect(await all.blobs.missing(scope, digests)).toEqual(lost)
  const found: Digest[] = []
  let answers = 0
  for await (const { index, bytes: each } of all.blobs.readBatch(scope, digests)) {
    answers++
    if (each === undefined) continue
    expect(buffer(each)).toEqual(contents[index])
    found.push(digests[index] as Digest)
  }
  expect(answers).toBe(60)
  expect(found.length + lost.length).toBe(60)
  for (const end of all.ends) expect(end.asked.filter((name) => name === 'readBatch')).toHaveLength(1)
})

test('an end that breaks in the middle of many or of one is gone on from by the next', async () => {
  await using all = fleet(2, 2)
  const contents = Array.from({ length: 40 }, (_, i) => content(1000, i))
  await Promise.all(contents.map((each) => all.blobs.write(scope, digestOf(each), each)))
  const large = content(100_000, 3)
  await all.blobs.write(scope, digestOf(large), large)
  for (const end of all.ends) end.breaksAfter = 5500
  const answers = new Map<number, Uint8Array | undefined>()
  const one = all.ends[1] as FaultyEnd
  one.breaksAfter = Number.POSITIVE_INFINITY
  for await (const { index, bytes: each } of all.blobs.readBatch(scope, contents.map(digestOf))) {
    expect(answers.has(index)).toBe(false)
    answers.set(index, each && new Uint8Array(each))
  }
  for (const [i, each] of contents.entries()) expect(Buffer.from(answers.get(i) ?? [])).toEqual(each)
  const [first] = all.of(digestOf(large)) as [FaultyEnd]
  for (const end of all.ends) end.breaksAfter = end === first ? 5500 : Number.POSITIVE_INFINITY
  expect(buffer(await readWhole(all.blobs, scope, digestOf(large)))).toEqual(large)
  const part = await all.blobs.read(scope, digestOf(large), { offset: 1000, length: 20_000 })
  const pieces: Uint8Array[] = []
  for await (const piece of part ?? []) pieces.push(piece)
  expect(Buffer.concat(pieces)).toEqual(large.subarray(1000, 21_000))
  expect(pieces.length).toBe(2)
  for (const end of all.ends) end.breaksAfter = 5500
  await expect(readWhole(all.blobs, scope, digestOf(large))).rejects.toMatchObject({ code: 'remote.unreachable' })
})

test.each(['read', 'readBatch', 'missing'] as const)(
  'what is found in a later end comes to the first one (%s)',
  async (how) => {
    await using all = fleet(5, 2)
    const [first] = all.of(digest) as [FaultyEnd]
    await all.blobs.write(scope, digest, bytes)
    first.wipe()
    const { write } = first.blobs
    const slow: typeof write = async (...args) => {
      await new Promise((resolve) => setImmediate(resolve))
      await write(...args)
    }
    Object.assign(first.blobs, { write: slow })
    if (how === 'read') expect(buffer(await readWhole(all.blobs, scope, digest))).toEqual(bytes)
    else if (how === 'missing') expect(await all.blobs.missing(scope, [digest])).toEqual([])
    else for await (const entry of all.blobs.readBatch(scope, [digest])) expect(buffer(entry.bytes)).toEqual(bytes)
    await all[Symbol.asyncDispose]()
    expect(buffer(await readWhole(first.blobs, scope, digest))).toEqual(bytes)
    expect(all.ends.every(({ isDisposed }) => isDisposed)).toBe(true)
  },
)

test('an end that is dead is not repaired, and one with the wrong bytes is', async () => {
  await using all = fleet(2, 2)
  const [first] = all.of(digest) as [FaultyEnd]
  await all.blobs.write(scope, digest, bytes)
  first.isDead = true
  await readWhole(all.blobs, scope, digest)
  first.isDead = false
  const read = first.blobs.read
  let isRead = false
  Object.assign(first.blobs, {
    read: async (...args: Parameters<typeof read>) => {
      if (isRead) return read(...args)
      isRead = true
      throw new CacheError('store.corrupt', 'The bytes are others.')
    },
  })
  expect(buffer(await readWhole(all.blobs, scope, digest))).toEqual(bytes)
  await all[Symbol.asyncDispose]()
  expect(first.asked.filter((name) => name === 'write')).toHaveLength(2)
})

test('a result is found while one of its ends is dead, comes back to one that lost it, and is complete by any end', async () => {
  await using all = fleet(5, 2)
  const [first, second] = all.of(action('a')) as [FaultyEnd, FaultyEnd]
  await all.blobs.write(scope, digest, bytes)
  expect(await all.actions.put(scope, action('a'), result([digest]))).toBe('new')
  first.isDead = true
  expect(await all.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
  expect(await all.actions.put(scope, action('a'), result([]))).toBe('different')
  first.isDead = false
  first.wipe()
  expect(await all.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit', result: result([]) })
  await new Promise((resolve) => setImmediate(resolve))
  second.isDead = true
  expect(await all.actions.get(scope, action('a'))).toMatchObject({ kind: 'hit', result: result([]) })
  first.isDead = true
  await expect(all.actions.get(scope, action('a'))).rejects.toMatchObject({ code: 'remote.unreachable' })
  await expect(all.actions.remove(scope, action('a'))).rejects.toMatchObject({ code: 'remote.unreachable' })
})

test('no end takes what it keeps of a result for one', async () => {
  const end = faultyEnd()
  await using all = sharded([{ name: 'only', weight: 1, end }])
  await all.actions.put(scope, action('a'), result([]))
  expect(await end.actions.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
})

test('results of the ends, complete by blobs that lie elsewhere', async () => {
  const elsewhere = memoryStore()
  await using all = fleet(3, 2)
  const actions = all.actionsOver?.(elsewhere.blobs)
  await all.blobs.write(scope, digest, bytes)
  await expect(actions?.put(scope, action('a'), result([digest]))).rejects.toMatchObject({ code: 'store.incomplete' })
  await elsewhere.blobs.write(scope, digest, bytes)
  expect(await actions?.put(scope, action('a'), result([digest]))).toBe('new')
  expect(await actions?.get(scope, action('a'))).toMatchObject({ kind: 'hit' })
})

test('what the caller’s stream throws, and a bug in an end, is nobody’s fault', async () => {
  await using all = fleet(3, 2)
  const [first] = all.of(digest) as [FaultyEnd]
  Object.assign(first.blobs, { missing: async () => Promise.reject(new TypeError('a bug')) })
  await expect(all.blobs.missing(scope, [digest])).rejects.toThrow('a bug')
})

test.each<[string, Parameters<typeof sharded>]>([
  ['no ends', [[]]],
  ['a name twice', [[0, 0].map(() => ({ name: 'a', weight: 1, end: faultyEnd() }))]],
  ['no name', [[{ name: '', weight: 1, end: faultyEnd() }]]],
  ['no weight', [[{ name: 'a', weight: 0, end: faultyEnd() }]]],
  ['a weight that is none', [[{ name: 'a', weight: Number.NaN, end: faultyEnd() }]]],
  ['too much weight', [[{ name: 'a', weight: Number.POSITIVE_INFINITY, end: faultyEnd() }]]],
  ['no replicas', [[{ name: 'a', weight: 1, end: faultyEnd() }], { replicas: 0 }]],
  ['half a replica', [[{ name: 'a', weight: 1, end: faultyEnd() }], { replicas: 1.5 }]],
])('%s cannot be', (_, args) => {
  expect(() => sharded(...args)).toThrow(expect.objectContaining({ code: 'usage' }))
})

test('whatever dies, comes back or loses all it has: what one living end must have is found, and nothing is ever wrong', async () => {
  const END = fc.integer({ min: 0, max: 4 })
  const THING = fc.integer({ min: 0, max: 7 })
  const step = fc.oneof(
    fc.record({ do: fc.constantFrom('kill', 'revive', 'wipe'), at: END }),
    fc.record({ do: fc.constantFrom('write', 'read', 'missing', 'batch', 'put', 'get'), at: THING }),
  )
  const contents = Array.from({ length: 8 }, (_, i) => content(50 + i, i))
  const digests = contents.map(digestOf)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 2, 3), async (steps, replicas) => {
      await using all = fleet(5, replicas)
      /** At least these have it. */
      const kept = new Map<string, Set<FaultyEnd>>()
      const holders = (name: string) => kept.get(name) ?? new Set()
      const alive = (digest: Digest) => all.of(digest).filter(({ isDead }) => !isDead)
      const mustHave = (digest: Digest, name = digest.hash) => alive(digest).some((end) => holders(name).has(end))
      const outcome = async <T>(call: Promise<T>, ...digests: Digest[]): Promise<T | 'fault'> => {
        try {
          return await call
        } catch (error) {
          if (!isCacheError(error)) throw error
          if (error.code === 'store.incomplete') return 'fault'
          expect(digests.some((digest) => alive(digest).length === 0)).toBe(true)
          return 'fault'
        }
      }
      for (const { do: what, at } of steps) {
        const end = all.ends[at] as FaultyEnd
        const [own, bytes] = [digests[at] as Digest, contents[at] as Uint8Array]
        if (what === 'kill') end.isDead = true
        else if (what === 'revive') end.isDead = false
        else if (what === 'wipe') {
          end.wipe()
          for (const ends of kept.values()) ends.delete(end)
        } else if (what === 'write') {
          const done = await outcome(all.blobs.write(scope, own, bytes), own)
          if (done !== 'fault') kept.set(own.hash, new Set([...holders(own.hash), ...alive(own)]))
        } else if (what === 'read') {
          const found = await outcome(readWhole(all.blobs, scope, own), own)
          if (found !== 'fault' && found !== undefined) expect(Buffer.from(found)).toEqual(bytes)
          else expect(mustHave(own)).toBe(false)
        } else if (what === 'missing' || what === 'batch') {
          const found = new Set(digests)
          try {
            if (what === 'missing') for (const one of await all.blobs.missing(scope, digests)) found.delete(one)
            if (what === 'batch')
              for await (const { index, bytes: each } of all.blobs.readBatch(scope, digests))
                if (each === undefined) found.delete(digests[index] as Digest)
                else expect(Buffer.from(each)).toEqual(contents[index])
          } catch (error) {
            if (!isCacheError(error)) throw error
            found.clear()
          }
          for (const one of digests) if (mustHave(one)) expect(found).toContain(one)
        } else {
          const key = action(`${at}`)
          const name = sha256Hex(`action ${at}`)
          if (what === 'put') {
            const done = await outcome(all.actions.put(scope, key, result([own])), key, own)
            if (done !== 'fault') kept.set(name, new Set([...holders(name), ...alive(key)]))
          } else {
            const found = await outcome(all.actions.get(scope, key), key, own)
            if (found !== 'fault' && found.kind === 'hit') expect(found.result).toEqual(result([own]))
            else expect(mustHave(key, name) && mustHave(own)).toBe(false)
          }
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('a miss says that a result is there in part, where one end has it so', async () => {
  const elsewhere = faultyEnd()
  await using all = fleet(3, 2)
  const actions = all.actionsOver?.(elsewhere.blobs)
  await elsewhere.blobs.write(scope, digest, bytes)
  await actions?.put(scope, action('a'), result([digest]))
  elsewhere.wipe()
  for (const end of all.of(action('a')).toReversed()) {
    expect(await actions?.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'incomplete' })
    end.wipe()
  }
  expect(await actions?.get(scope, action('a'))).toEqual({ kind: 'miss', why: 'absent' })
})

test('who gives up is told so, whatever an end makes of it', async () => {
  await using all = fleet(2, 2)
  const control = new AbortController()
  for (const end of all.ends)
    Object.assign(end.blobs, {
      missing: async () => {
        control.abort(new Error('enough'))
        throw new CacheError('remote.unreachable', 'It was left.')
      },
    })
  await expect(all.blobs.missing(scope, [digest], control.signal)).rejects.toThrow('enough')
})

test('what is missing comes in the order of the list', async () => {
  await using all = fleet(5, 2)
  const digests = Array.from({ length: 60 }, (_, i) => digestOf(content(100, i)))
  expect(await all.blobs.missing(scope, digests)).toEqual(digests)
})

test('an end is let go by a reader who never begins', async () => {
  await using all = fleet(2, 1)
  await all.blobs.write(scope, digest, bytes)
  const [first] = all.of(digest) as [FaultyEnd]
  const { read } = first.blobs
  let isClosed = false
  Object.assign(first.blobs, {
    read: async (...args: Parameters<typeof read>) => {
      const found = await read(...args)
      const close = async () => {
        isClosed = true
      }
      return found && { ...found, [Symbol.asyncDispose]: close }
    },
  })
  const opened = await all.blobs.read(scope, digest)
  await opened?.[Symbol.asyncDispose]()
  expect(isClosed).toBe(true)
})

test('the empty blob is everywhere', async () => {
  await using all = fleet(3, 2)
  expect(await all.blobs.missing(scope, [EMPTY_DIGEST])).toEqual([])
})
