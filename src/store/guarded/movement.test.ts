import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { guarded } from './guarded.ts'
import { Movement } from './movement.ts'
import { never, scriptedEnd } from './scripted-end.fixture.ts'
import { VirtualClock } from './virtual-clock.fixture.ts'

const LIMITS = { graceMs: 2_000, floorBytesPerSecond: 100_000 }
const TICK_MS = 100

function setUp() {
  const clock = new VirtualClock()
  let received = 0
  const movement = new Movement(clock, LIMITS, () => received)
  const lostAt: number[] = []
  const watch = (bytes: number, isBlind = false) =>
    movement.watch({ bytes, isBlind, lost: () => lostAt.push(clock.elapsedMs()) })
  const comes = (bytes: number) => {
    received += bytes
  }
  return { clock, watch, comes, lostAt }
}

test('what stands still is given up after its grace, once', async () => {
  const { clock, watch, lostAt } = setUp()
  watch(1_000_000).begin()
  await clock.pass(60_000)
  expect(lostAt).toEqual([LIMITS.graceMs])
})

test('what comes at the floor or faster never is, what comes at less is soon', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 300 }), async (percent) => {
      const { clock, watch, comes, lostAt } = setUp()
      const bytesPerTick = Math.ceil((LIMITS.floorBytesPerSecond * TICK_MS * percent) / 100_000)
      const seconds = 120
      using one = watch((LIMITS.floorBytesPerSecond * seconds * percent) / 100)
      one.begin()
      for (let ms = 0; ms < seconds * 1_000; ms += TICK_MS) {
        comes(bytesPerTick)
        await clock.pass(TICK_MS)
      }
      if (percent >= 100) expect(lostAt).toEqual([])
      else if (percent <= 95) {
        expect(lostAt).toHaveLength(1)
        expect(lostAt[0]).toBeLessThanOrEqual(LIMITS.graceMs / (1 - percent / 100) + 2 * TICK_MS)
      }
    }),
    { numRuns: 12 },
  )
})

test('only the time counts in which it is the end’s turn', async () => {
  const { clock, watch, lostAt } = setUp()
  using one = watch(1_000_000)
  for (let turn = 0; turn < 30; turn++) {
    one.begin()
    await clock.pass(60)
    one.end()
    await clock.pass(60_000)
  }
  expect(lostAt).toEqual([])
  one.begin()
  await clock.pass(TICK_MS / 2)
  expect(lostAt).toEqual([])
  await clock.pass(3 * TICK_MS)
  expect(lostAt).toHaveLength(1)
})

test('what comes for others counts, but who stands still beside them is given up by its size', async () => {
  const { clock, watch, comes, lostAt } = setUp()
  using small = watch(1_000)
  small.begin()
  for (let ms = 0; ms < 9_750; ms += TICK_MS) {
    comes(LIMITS.floorBytesPerSecond)
    await clock.pass(TICK_MS)
  }
  expect(lostAt).toEqual([])
  for (let ms = 0; ms < 1_000; ms += TICK_MS) {
    comes(LIMITS.floorBytesPerSecond)
    await clock.pass(TICK_MS)
  }
  expect(lostAt).toHaveLength(1)
})

test('what nobody sees moving has the time of all that is sent so', async () => {
  const { clock, watch, lostAt } = setUp()
  const others = [watch(300_000, true), watch(500_000, true)]
  const late = watch(200_000, true)
  late.begin()
  await clock.pass(11_750)
  expect(lostAt).toEqual([])
  await clock.pass(500)
  expect(lostAt).toHaveLength(1)
  for (const one of others) one[Symbol.dispose]()
  late[Symbol.dispose]()
  late[Symbol.dispose]()
  using alone = watch(0, true)
  alone.begin()
  const startMs = clock.elapsedMs()
  await clock.pass(60_000)
  expect(lostAt[1]).toBe(startMs + LIMITS.graceMs)
})

test('where this process itself stood still, the end is not blamed', async () => {
  const { clock, watch, lostAt } = setUp()
  using one = watch(1_000_000)
  one.begin()
  clock.skip(60_000)
  await clock.pass(0)
  expect(lostAt).toEqual([])
})

describe('a large blob', () => {
  const bytes = content(3_000_000, 1)
  const digest = digestOf(bytes)

  function streaming(pieces: () => AsyncGenerator<Uint8Array>) {
    const clock = new VirtualClock()
    let received = 0
    let isClosed = false
    const end = scriptedEnd(async () => undefined)
    const counting = async function* () {
      try {
        for await (const piece of pieces()) {
          received += piece.length
          yield piece
        }
      } finally {
        isClosed = true
      }
    }
    const read = async () => {
      const stream = counting()
      return {
        [Symbol.asyncIterator]: () => stream,
        async [Symbol.asyncDispose]() {
          isClosed = true
        },
      }
    }
    const transfers = { first: 1, least: 1, most: 1 }
    const options = { place: 'there', clock, limits: { transfers } }
    const counted = { ...end, receivedBytes: () => received, blobs: { ...end.blobs, read } }
    return { clock, ...guarded(counted, options), isClosed: () => isClosed }
  }

  const taken = async (open: Promise<AsyncIterable<Uint8Array> | undefined>) => {
    let length = 0
    for await (const piece of (await open) ?? []) length += piece.length
    return length
  }

  test('that comes slowly is had, and makes room for the next', async () => {
    const { clock, blobs } = streaming(async function* () {
      for (let at = 0; at < bytes.length; at += 100_000) {
        await clock.sleep(700)
        yield bytes.subarray(at, at + 100_000)
      }
    })
    for (let i = 0; i < 2; i++) expect(await clock.until(taken(blobs.read(scope, digest)))).toBe(bytes.length)
  })

  test.each([
    ['stands still in the middle', 20, 1e9],
    ['trickles', 1, 900],
  ])('that %s is given up, and its room is free again', async (_, pieces, ms) => {
    let isBad = true
    const { clock, blobs, isClosed } = streaming(async function* () {
      for (let at = 0; at < bytes.length; at += 100_000) {
        const isLate = isBad && at >= pieces * 100_000
        if (isLate) await clock.sleep(ms)
        yield isLate ? bytes.subarray(at, at + 1_000) : bytes.subarray(at, at + 100_000)
      }
    })
    const startMs = clock.elapsedMs()
    const failing = taken(blobs.read(scope, digest))
    await expect(clock.until(failing)).rejects.toMatchObject({ code: 'remote.timed-out' })
    expect(clock.elapsedMs() - startMs).toBeLessThan(10_000)
    await clock.pass(1_000)
    expect(isClosed()).toBe(true)
    isBad = false
    await clock.pass(3_600_000)
    await expect(blobs.read(scope, digest)).rejects.toMatchObject({ context: { isOpen: true } })
    await clock.pass(10)
    expect(await clock.until(taken(blobs.read(scope, digest)))).toBe(bytes.length)
  })

  test('whose reader takes its time is not the end’s fault, and may be left', async () => {
    const { clock, blobs, isClosed } = streaming(async function* () {
      for (let at = 0; at < bytes.length; at += 1_000_000) yield bytes.subarray(at, at + 1_000_000)
    })
    const slow = async () => {
      let length = 0
      for await (const piece of (await blobs.read(scope, digest)) ?? []) {
        length += piece.length
        await clock.sleep(60_000)
      }
      return length
    }
    expect(await clock.until(slow())).toBe(bytes.length)
    const first = async () => {
      for await (const piece of (await blobs.read(scope, digest)) ?? []) return piece.length
      return 0
    }
    expect(await clock.until(first())).toBe(1_000_000)
    {
      await using left = await clock.until(blobs.read(scope, digest))
      expect(left).toBeDefined()
    }
    expect(isClosed()).toBe(true)
    expect(await clock.until(taken(blobs.read(scope, digest)))).toBe(bytes.length)
  })
})

test('a source that takes its time is not the end’s fault; an end that takes nothing is', async () => {
  const clock = new VirtualClock()
  const bytes = content(50_000, 1)
  let isStuck = false
  const end = scriptedEnd(async (_, signal) => (isStuck ? never(signal) : undefined))
  const { blobs } = guarded(end, { place: 'there', clock })
  const slow = async function* () {
    for (let at = 0; at < bytes.length; at += 10_000) {
      await clock.sleep(60_000)
      yield bytes.subarray(at, at + 10_000)
    }
  }
  await clock.until(blobs.write(scope, digestOf(bytes), slow()))
  isStuck = true
  const stuck = blobs.ingest(scope, slow())
  await expect(clock.until(stuck)).rejects.toMatchObject({ code: 'remote.timed-out' })
})
