import { expect, test } from 'vitest'
import type { Digest } from '../../digest/digest.ts'
import { digestOf } from '../../digest/sha256.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { fault, never, type ScriptedEnd, scriptedEnd } from '../guarded/scripted-end.fixture.ts'
import { VirtualClock } from '../guarded/virtual-clock.fixture.ts'
import { readWhole } from '../read-whole.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { Rendezvous } from './rendezvous.ts'
import { sharded } from './sharded.ts'

/** How long an end takes, in milliseconds; `never`; or at once, with a fault. */
type Pace = number | 'never' | 'fault'

interface Fleet extends RemoteEnd {
  readonly clock: VirtualClock
  readonly ends: readonly ScriptedEnd[]
  readonly paces: Pace[]
  /** The place of the first of the two ends that have it. */
  firstOf(digest: Digest): number
  /** How long it takes. */
  ms(call: () => PromiseLike<unknown>): Promise<number>
}

function fleet(count = 2): Fleet {
  const clock = new VirtualClock()
  const paces: Pace[] = Array.from({ length: count }, () => 0)
  const ends = paces.map((_, i) =>
    scriptedEnd(async (_what, signal) => {
      const pace = paces[i]
      if (pace === 'fault') throw fault('remote.unreachable')
      if (pace === 'never') await never(signal)
      else if (pace !== 0) await clock.sleep(pace as number)
    }),
  )
  const shards = ends.map((end, i) => ({ name: `server ${i}`, weight: 1, end }))
  const rendezvous = new Rendezvous(shards, 2)
  return {
    ...sharded(shards, { clock }),
    ...{ clock, ends, paces },
    firstOf: ({ hash }) => rendezvous.of(hash)[0] as number,
    async ms(call) {
      const sinceMs = clock.elapsedMs()
      await clock.until(Promise.resolve(call()))
      return clock.elapsedMs() - sinceMs
    },
  }
}

const buffer = (found: Uint8Array | undefined) => found && Buffer.from(found)
const bytes = content(5000, 1)
const digest = digestOf(bytes)
const key = action('a')

/** A fleet with a result that names no blobs, whose first end does as is said. */
async function withResult(pace: Pace): Promise<Fleet & { readonly first: ScriptedEnd }> {
  const all = fleet()
  await all.actions.put(scope, key, result([]))
  const first = all.firstOf(key)
  all.paces[first] = pace
  return { ...all, first: all.ends[first] as ScriptedEnd }
}

test('an end that says nothing is overtaken: at first after a while, later after what nearly all answers take', async () => {
  const all = await withResult('never')
  const look = async () => expect(await all.actions.get(scope, key)).toMatchObject({ kind: 'hit' })
  expect(await all.ms(look)).toBe(50)
  all.paces.fill(8)
  for (let i = 0; i < 10; i++) expect(await all.ms(look)).toBe(8)
  all.paces[all.firstOf(key)] = 'never'
  expect(await all.ms(look)).toBe(16)
  expect(all.first.givenUp).toEqual([])
})

test('of an end that refuses the next is asked at once, and no more than once', async () => {
  const all = await withResult('fault')
  for (let i = 0; i < 100; i++)
    expect(await all.ms(async () => expect(await all.actions.get(scope, key)).toMatchObject({ kind: 'hit' }))).toBe(0)
})

test.each(['read', 'readBatch', 'missing'] as const)(
  'an answer that comes after all is taken where the others have nothing (%s)',
  async (how) => {
    const all = fleet()
    const first = all.firstOf(digest)
    await all.ends[first]?.blobs.write(scope, digest, bytes)
    all.paces[first] = 200
    const ask = async () => {
      if (how === 'read') expect(buffer(await readWhole(all.blobs, scope, digest))).toEqual(bytes)
      else if (how === 'missing') expect(await all.blobs.missing(scope, [digest])).toEqual([])
      else for await (const entry of all.blobs.readBatch(scope, [digest])) expect(buffer(entry.bytes)).toEqual(bytes)
    }
    expect(await all.ms(ask)).toBe(200)
  },
)

test.each(['read', 'readBatch', 'missing'] as const)(
  'what is on an end that hangs comes from others (%s)',
  async (how) => {
    const all = fleet(4)
    const contents = Array.from({ length: 30 }, (_, i) => content(100 + i, i))
    const digests = contents.map(digestOf)
    await Promise.all(contents.map((each, i) => all.blobs.write(scope, digests[i] as Digest, each)))
    all.paces[1] = 'never'
    const ms = await all.ms(async () => {
      if (how === 'missing') expect(await all.blobs.missing(scope, digests)).toEqual([])
      else if (how === 'read')
        for (const [i, each] of digests.slice(0, 8).entries())
          expect(buffer(await readWhole(all.blobs, scope, each))).toEqual(contents[i])
      else {
        const found = new Map<number, Uint8Array | undefined>()
        for await (const { index, bytes: each } of all.blobs.readBatch(scope, digests)) {
          expect(found.has(index)).toBe(false)
          found.set(index, each)
        }
        for (const [i, each] of contents.entries()) expect(buffer(found.get(i))).toEqual(each)
      }
    })
    expect(ms).toBeGreaterThanOrEqual(50)
    expect(ms).toBeLessThanOrEqual(8 * 50)
    expect(all.ends[1]?.givenUp).toEqual([])
  },
)

test('second questions are few: an end that always hangs is waited for in the end', async () => {
  const all = await withResult('never')
  let overtaken = 0
  const enough = new AbortController()
  const looks = async () => {
    for (; overtaken < 1000; overtaken++) await all.actions.get(scope, key, enough.signal)
  }
  all.clock.after(1_000_000, () => enough.abort(new Error('enough')))
  await expect(all.clock.until(looks())).rejects.toThrow('enough')
  // Ten, and one in twenty of two calls each.
  expect(overtaken).toBe(11)
})

test('large blobs are not asked for twice, however long they take', async () => {
  const all = fleet()
  const large = content((1 << 20) + 1, 2)
  await all.blobs.write(scope, digestOf(large), large)
  all.paces[all.firstOf(digestOf(large))] = 60_000
  const ms = await all.ms(async () => expect(buffer(await readWhole(all.blobs, scope, digestOf(large)))).toEqual(large))
  expect(ms).toBeGreaterThanOrEqual(60_000)
})

test('of those that were overtaken it is found out whether they are there, within the time of a first answer', async () => {
  const slow = await withResult(120)
  expect(await slow.ms(() => slow.actions.get(scope, key))).toBe(50)
  expect(await slow.ms(() => slow[Symbol.asyncDispose]())).toBe(70)
  expect(slow.first.givenUp).toEqual([])
  const dead = await withResult('never')
  expect(await dead.ms(() => dead.actions.get(scope, key))).toBe(50)
  expect(await dead.ms(() => dead[Symbol.asyncDispose]())).toBe(100)
  expect(dead.first.givenUp).toEqual(['get'])
  const many = fleet()
  await many.blobs.write(scope, digest, bytes)
  many.paces[many.firstOf(digest)] = 'never'
  expect(await many.ms(() => many.blobs.missing(scope, [digest]))).toBe(50)
  expect(await many.ms(() => many[Symbol.asyncDispose]())).toBe(100)
  const quick = await withResult(1)
  await quick.ms(() => quick.actions.get(scope, key))
  expect(await quick.ms(() => quick[Symbol.asyncDispose]())).toBe(0)
})

test('who leaves takes with it all that it asked', async () => {
  const all = await withResult('never')
  all.paces.fill('never')
  const enough = new AbortController()
  all.clock.after(300, () => enough.abort(new Error('enough')))
  const asked = [
    all.actions.get(scope, key, enough.signal),
    all.blobs.missing(scope, [digest], enough.signal),
    all.blobs.read(scope, digest, { signal: enough.signal }),
    all.blobs.readBatch(scope, [digest], enough.signal)[Symbol.asyncIterator]().next(),
  ]
  const ends = await all.clock.until(Promise.allSettled(asked))
  for (const end of ends) expect(end).toMatchObject({ status: 'rejected', reason: { message: 'enough' } })
  expect(all.ends.map(({ underWay }) => underWay.now)).toEqual([0, 0])
})

test('how long much takes says nothing of how long little does', async () => {
  const all = fleet()
  const contents = Array.from({ length: 10 }, (_, i) => content(65 << 10, i))
  for (const each of [...contents, bytes]) await all.blobs.write(scope, digestOf(each), each)
  all.paces.fill(20)
  for (const each of contents) expect(await all.ms(() => readWhole(all.blobs, scope, digestOf(each)))).toBe(20)
  all.paces.fill(0)
  all.paces[all.firstOf(digest)] = 'never'
  expect(await all.ms(() => readWhole(all.blobs, scope, digest))).toBe(50)
})

test('what was opened too late is closed', async () => {
  const all = fleet()
  await all.blobs.write(scope, digest, bytes)
  const late = all.ends[all.firstOf(digest)] as ScriptedEnd
  const { read } = late.blobs
  let isClosed = false
  const slow: typeof read = async (...asked) => {
    const found = await read(...asked)
    return (
      found && {
        [Symbol.asyncIterator]: () => found[Symbol.asyncIterator](),
        async [Symbol.asyncDispose]() {
          isClosed = true
        },
      }
    )
  }
  Object.assign(late.blobs, { read: slow })
  all.paces[all.firstOf(digest)] = 70
  expect(await all.ms(() => readWhole(all.blobs, scope, digest))).toBe(50)
  await all.clock.pass(30)
  expect(isClosed).toBe(true)
})
