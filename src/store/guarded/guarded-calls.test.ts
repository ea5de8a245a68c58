import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import type { ErrorCode } from '../../errors.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { memoryStore } from '../memory/memory-store.ts'
import type { RemoteEnd } from '../remote/remote-end.ts'
import { breakerInMemory } from './breaker-file.ts'
import { type GuardEvent, hearGuard } from './guard-events.ts'
import { GUARD_LIMITS, type GuardLimits } from './guard-limits.ts'
import { guarded } from './guarded.ts'
import { fault, never, type Script, scriptedEnd } from './scripted-end.fixture.ts'
import { VirtualClock } from './virtual-clock.fixture.ts'

/** An end that is never left alone. */
const TIRELESS = { mostFailures: 1e9, mostLostMs: 1e9 }

function setUp(script: Script, limits: Partial<GuardLimits> = {}, seed = 1) {
  const clock = new VirtualClock(seed)
  const memory = breakerInMemory()
  const store = memoryStore()
  const end = scriptedEnd(script, store)
  const next = () => guarded(end, { place: 'there', memory, clock, limits })
  return { clock, end, store, next, ...next() }
}

const quick: Script = async () => undefined
const missed = { kind: 'miss', why: 'absent' }
const isOpen = { code: 'remote.unreachable', context: { isOpen: true } }
const small = Buffer.from('small')

function events(): { readonly kinds: string[] } & Disposable {
  const kinds: string[] = []
  const hearing = hearGuard((event: GuardEvent) => kinds.push(event.kind))
  return { kinds, [Symbol.dispose]: () => hearing[Symbol.dispose]() }
}

/** Fills what is known of how long answers take. */
async function seen(actions: RemoteEnd['actions'], clock: VirtualClock, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await clock.until(actions.get(scope, action(`seen ${i}`)))
}

describe('an end that never answers', () => {
  test('costs its first-answer budget once, also over processes', async () => {
    using told = events()
    const { clock, next, actions, end } = setUp((_, signal) => never(signal))
    await expect(clock.until(actions.get(scope, action('a')))).rejects.toMatchObject({ code: 'remote.timed-out' })
    expect(clock.elapsedMs()).toBe(GUARD_LIMITS.firstAnswerMs)
    for (const { actions, blobs } of [next(), next()]) {
      await expect(actions.get(scope, action('b'))).rejects.toMatchObject(isOpen)
      await expect(actions.put(scope, action('b'), result([]))).rejects.toMatchObject(isOpen)
      await expect(actions.remove(scope, action('b'))).rejects.toMatchObject(isOpen)
      await expect(blobs.missing(scope, [digestOf(small)])).rejects.toMatchObject(isOpen)
      await expect(blobs.read(scope, digestOf(small))).rejects.toMatchObject(isOpen)
      await expect(blobs.read(scope, { ...digestOf(small), sizeBytes: 2 << 20 })).rejects.toMatchObject(isOpen)
      await expect(blobs.write(scope, digestOf(small), small)).rejects.toMatchObject(isOpen)
      await expect(
        blobs
          .readBatch(scope, [digestOf(small)])
          [Symbol.asyncIterator]()
          .next(),
      ).rejects.toMatchObject(isOpen)
    }
    expect(clock.elapsedMs()).toBe(GUARD_LIMITS.firstAnswerMs)
    expect(end.asked).toEqual(['get'])
    expect(told.kinds).toEqual(['opened'])
  })

  test('is looked at in the background when it is time, which costs nobody anything', async () => {
    const { clock, next, actions, end } = setUp((_, signal) => never(signal))
    await clock.until(actions.get(scope, action('a')).catch(() => undefined))
    for (let day = 0; day < 5; day++) {
      await clock.pass(24 * 3_600_000)
      const { actions } = next()
      const startMs = clock.elapsedMs()
      for (let i = 0; i < 3; i++) await expect(actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
      expect(clock.elapsedMs()).toBe(startMs)
    }
    expect(end.asked).toHaveLength(6)
  })

  test('and is back later serves those after the first who looked', async () => {
    using told = events()
    let isBack = false
    const { clock, next, actions } = setUp((_, signal) => (isBack ? clock.sleep(20) : never(signal)))
    await clock.until(actions.get(scope, action('a')).catch(() => undefined))
    isBack = true
    await clock.pass(3_600_000)
    const later = next()
    await expect(later.actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
    await clock.pass(20)
    expect(await clock.until(later.actions.get(scope, action('a')))).toEqual(missed)
    expect(await clock.until(next().actions.get(scope, action('a')))).toEqual(missed)
    expect(told.kinds).toEqual(['opened', 'closed'])
  })

  test('a probe that is cut off by the end of the process is left to the next', async () => {
    const { clock, next, actions, end } = setUp((_, signal) => never(signal))
    await clock.until(actions.get(scope, action('a')).catch(() => undefined))
    await clock.pass(3_600_000)
    const first = next()
    await expect(first.actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
    await expect(next().actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
    expect(end.asked).toHaveLength(2)
    await first[Symbol.asyncDispose]()
    expect(end.givenUp).toHaveLength(2)
    await expect(next().actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
    expect(end.asked).toHaveLength(3)
  })
})

test('an end that is far is waited for, once it is known how far', async () => {
  using told = events()
  const { clock, next, actions, store } = setUp(() => clock.sleep(400))
  await store.actions.put(scope, action('a'), result([]))
  await expect(clock.until(actions.get(scope, action('a')))).rejects.toMatchObject({ code: 'remote.timed-out' })
  expect(clock.elapsedMs()).toBe(GUARD_LIMITS.firstAnswerMs)
  await clock.pass(400)
  expect(told.kinds).toEqual(['opened', 'closed'])
  expect(await clock.until(actions.get(scope, action('a')))).toMatchObject({ kind: 'hit' })
  expect(await clock.until(next().actions.get(scope, action('a')))).toMatchObject({ kind: 'hit' })
})

test.each<[ErrorCode, number]>([
  ['remote.unreachable', 3],
  ['remote.timed-out', 3],
  ['remote.failed', 1],
  ['remote.denied', 1],
  ['remote.tls', 1],
  ['remote.incompatible', 1],
  ['store.corrupt', 1],
  ['store.incomplete', 1],
  ['store.full', 1],
])('after %s a look-up is asked %i times in all, and a small blob no more often', async (code, times) => {
  const failing: Script = async () => {
    throw fault(code)
  }
  const lookUp = setUp(failing)
  await expect(lookUp.clock.until(lookUp.actions.get(scope, action('a')))).rejects.toMatchObject({ code })
  expect(lookUp.end.asked).toHaveLength(times)
  const blob = setUp(failing)
  const read = async () => {
    for await (const _ of (await blob.blobs.read(scope, digestOf(small))) ?? []) throw new Error('bytes')
  }
  await expect(blob.clock.until(read())).rejects.toMatchObject({ code })
  // What stood still may do so for long.
  expect(blob.end.asked).toHaveLength(code === 'remote.timed-out' ? 2 : times)
})

test('what broke off is not asked again for who has left meanwhile', async () => {
  using told = events()
  const control = new AbortController()
  const { clock, end, blobs } = setUp(async () => {
    control.abort(fault('remote.timed-out'))
    throw fault('remote.unreachable')
  })
  await expect(clock.until(blobs.write(scope, digestOf(small), small, control.signal))).rejects.toThrow('timed-out')
  expect([end.asked, told.kinds, clock.elapsedMs()]).toEqual([['write'], [], 0])
})

test('each time it is asked again twice as long is waited at most', async () => {
  const waits: number[] = []
  const { clock, blobs } = setUp(async () => {
    waits.push(clock.elapsedMs())
    throw fault('remote.unreachable')
  }, TIRELESS)
  clock.random = () => 1
  await expect(clock.until(blobs.write(scope, digestOf(small), small))).rejects.toThrow('unreachable')
  const [first = 0, second = 0, third = 0] = waits
  expect([second - first, third - second]).toEqual([GUARD_LIMITS.retryMs, 2 * GUARD_LIMITS.retryMs])
})

test('what broke off is asked again after a while by chance, and nobody hears of it', async () => {
  using told = events()
  const { clock, actions } = setUp(async (_what, _signal, number) => {
    if (number < 2) throw fault('remote.unreachable')
  })
  expect(await clock.until(actions.get(scope, action('a')))).toEqual(missed)
  expect(told.kinds).toEqual(['retried', 'retried'])
  expect(clock.elapsedMs()).toBeGreaterThan(0)
  expect(clock.elapsedMs()).toBeLessThan(GUARD_LIMITS.retryMs * 3)
})

test('a whole blob in memory is sent again, a stream is not', async () => {
  const { clock, blobs, end } = setUp(async (_what, _signal, number) => {
    if (number % 2 === 0) throw fault('remote.unreachable')
  })
  await clock.until(blobs.write(scope, digestOf(small), small))
  expect(end.asked).toHaveLength(2)
  const stream = async function* () {
    yield small
  }
  await expect(clock.until(blobs.write(scope, digestOf(small), stream()))).rejects.toMatchObject({
    code: 'remote.unreachable',
  })
  expect(end.asked).toHaveLength(3)
  await clock.until(blobs.ingest(scope, stream()))
})

test('retries never are more than their budget, whatever fails', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }), fc.integer(), async (fails, seed) => {
      const script: Script = async (_what, _signal, number) => {
        if (fails[number % fails.length]) throw fault('remote.unreachable')
      }
      const { clock, actions, end } = setUp(script, TIRELESS, seed)
      let calls = 0
      for (; calls < 150; calls++) await clock.until(actions.get(scope, action(`${calls}`)).catch(() => undefined))
      const { reserve, share } = GUARD_LIMITS.retryBudget
      expect(end.asked.length - calls).toBeLessThanOrEqual(reserve + share * calls)
    }),
    { numRuns: 15 },
  )
})

test('a second question is asked for few of what takes long, and the first answer counts', async () => {
  let slowMs = 10
  const { clock, actions, end } = setUp(
    (_what, _signal, number) => clock.sleep(number % 3 === 2 ? slowMs : 5 + clock.random() * 5),
    TIRELESS,
  )
  await seen(actions, clock, 9)
  expect(end.asked).toHaveLength(9)
  slowMs = 90
  const calls = 600
  await seen(actions, clock, calls)
  const extra = end.asked.length - calls - 9
  expect(extra).toBeGreaterThan(20)
  expect(extra).toBeLessThanOrEqual(1 + 0.05 * (calls + 9))
  // Of two one is given up.
  expect(end.givenUp).toHaveLength(extra)
})

test('what takes a few milliseconds is asked once, however quick the others were', async () => {
  const { clock, actions, end } = setUp((_what, _signal, number) => clock.sleep(number < 20 ? 1 : 4), TIRELESS)
  await seen(actions, clock, 30)
  expect(end.asked).toHaveLength(30)
})

test('a look at a great many is not asked for twice, and nothing is learnt from how long it takes', async () => {
  const { clock, actions, blobs, end } = setUp(
    (what, _signal, number) => clock.sleep(what === 'missing' ? 100 : number < 20 ? 10 - number / 4 : 60),
    TIRELESS,
  )
  await seen(actions, clock, 20)
  const many = Array.from({ length: 100 }, (_, i) => digestOf(Buffer.from(`${i}`)))
  for (let i = 0; i < 30; i++) expect(await clock.until(blobs.missing(scope, many))).toHaveLength(100)
  expect(end.asked).toHaveLength(50)
  await clock.until(actions.get(scope, action('slow')))
  expect(end.asked).toHaveLength(52)
})

test('bytes of ours that are not the blob are no fault of the end', async () => {
  const { clock, actions, blobs, end } = setUp(async (what) => {
    if (what === 'write') throw fault('store.corrupt')
  })
  for (let i = 0; i < 5; i++)
    await expect(clock.until(blobs.write(scope, digestOf(small), small))).rejects.toThrow('corrupt')
  expect(await clock.until(actions.get(scope, action('a')))).toEqual(missed)
  expect(end.asked).toHaveLength(6)
})

test('a second question that fails leaves the first one to be answered', async () => {
  const { clock, actions, end } = setUp(async (_what, _signal, number) => {
    if (number === 21) throw fault('remote.unreachable')
    await clock.sleep(number === 20 ? 60 : 10 - number / 4)
  }, TIRELESS)
  await seen(actions, clock, 20)
  expect(end.asked).toHaveLength(20)
  expect(await clock.until(actions.get(scope, action('slow')))).toEqual(missed)
  expect(end.asked).toHaveLength(22)
})

test('an end that becomes slower is given more time when it is asked again', async () => {
  const { clock, actions, end } = setUp((_what, _signal, number) => clock.sleep(number < 20 ? 10 - number / 4 : 150), {
    hedgeBudget: { reserve: 0, share: 0 },
  })
  await seen(actions, clock, 20)
  expect(await clock.until(actions.get(scope, action('slow')))).toEqual(missed)
  expect(end.asked).toHaveLength(22)
})

test('a look-up that brings much may take its time while it comes', async () => {
  const { clock, end } = setUp(async () => {
    for (let i = 0; i < 40 && !isStuck; i++) {
      await clock.sleep(50)
      received += 10_000
    }
    if (isStuck) await clock.sleep(60_000)
  })
  let received = 0
  let isStuck = false
  const { actions } = guarded({ ...end, receivedBytes: () => received }, { place: 'there', clock })
  expect(await clock.until(actions.get(scope, action('a')))).toEqual(missed)
  isStuck = true
  await expect(clock.until(actions.get(scope, action('b')))).rejects.toMatchObject({ code: 'remote.timed-out' })
  expect(clock.elapsedMs()).toBeLessThan(3_000)
})

test('a small blob that stands still is given up the sooner, the quicker they are as a rule', async () => {
  let isStuck = false
  const waits: number[] = []
  for (const reads of [0, 20]) {
    isStuck = false
    const { clock, actions, blobs, store } = setUp(async (what, signal) => {
      const startMs = clock.elapsedMs()
      if (isStuck && what === 'read') await never(signal).finally(() => waits.push(clock.elapsedMs() - startMs))
      await clock.sleep(10)
    })
    await clock.until(actions.get(scope, action('a')))
    await store.blobs.write(scope, digestOf(small), small)
    for (let i = 0; i < reads; i++) await clock.until(blobs.read(scope, digestOf(small)))
    isStuck = true
    await clock.until(blobs.read(scope, digestOf(small)).catch(() => undefined))
  }
  const [usual, quick, again] = waits as [number, number, number]
  expect(quick).toBeLessThan(usual)
  // It may have become slower.
  expect(again).toBeGreaterThan(quick)
  expect(waits).toHaveLength(3)
})

test('what cost so much that the end is left alone is not asked again', async () => {
  const { clock, actions, blobs, end } = setUp(async (what, signal) => {
    if (what === 'read') await never(signal)
  })
  await clock.until(actions.get(scope, action('a')))
  await expect(clock.until(blobs.read(scope, digestOf(small)))).rejects.toMatchObject({ code: 'remote.timed-out' })
  expect(end.asked).toEqual(['get', 'read'])
  await expect(actions.get(scope, action('b'))).rejects.toMatchObject(isOpen)
})

test('an upload that stands still is waited for by nobody, and costs the look-ups nothing', async () => {
  const { clock, actions, blobs, end } = setUp(async (what, signal) => {
    if (what === 'write') await never(signal)
  })
  await clock.until(actions.get(scope, action('a')))
  await expect(clock.until(blobs.write(scope, digestOf(small), small))).rejects.toMatchObject({
    code: 'remote.timed-out',
  })
  expect(await clock.until(actions.get(scope, action('b')))).toEqual(missed)
  expect(end.asked).toEqual(['get', 'write', 'write', 'get'])
})

test('an end that refuses, or says no, has answered', async () => {
  for (const code of ['remote.denied', 'store.incomplete'] as const) {
    let isBad = false
    const { clock, actions } = setUp(async (what) => {
      if (what === 'put') throw fault(code)
      if (isBad) throw fault('remote.failed')
    })
    await expect(clock.until(actions.put(scope, action('a'), result([])))).rejects.toMatchObject({ code })
    isBad = true
    for (let i = 0; i < 3; i++)
      await expect(clock.until(actions.get(scope, action(`${i}`)))).rejects.toMatchObject({ code: 'remote.failed' })
    await expect(actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
  }
})

test('an end that is back and lets nobody in is back', async () => {
  using told = events()
  let isBack = false
  const { clock, actions } = setUp(async (_what, signal) => {
    if (isBack) throw fault('remote.denied')
    await never(signal)
  })
  await clock.until(actions.get(scope, action('a')).catch(() => undefined))
  isBack = true
  await clock.pass(3_600_000)
  await expect(actions.get(scope, action('a'))).rejects.toMatchObject(isOpen)
  await clock.pass(10)
  expect(told.kinds).toEqual(['opened', 'closed'])
  await expect(clock.until(actions.get(scope, action('a')))).rejects.toMatchObject({ code: 'remote.denied' })
})

test('who waits for room is not asked for once the end is left alone', async () => {
  const one = { first: 1, least: 1, most: 1 }
  const { clock, actions, blobs, end } = setUp((_, signal) => never(signal), { lookUps: one, transfers: one })
  const gets = [actions.get(scope, action('a')), actions.get(scope, action('b'))].map((get) =>
    get.catch((error) => error),
  )
  expect(await clock.until(Promise.all(gets))).toMatchObject([{ code: 'remote.timed-out' }, isOpen])
  expect(end.asked).toEqual(['get'])
  const other = setUp((_, signal) => never(signal), { lookUps: one, transfers: one })
  const writes = [content(70_000, 1), content(70_000, 2)].map((bytes) =>
    other.blobs.write(scope, digestOf(bytes), bytes).catch((error) => error),
  )
  expect(await other.clock.until(Promise.all(writes))).toMatchObject([{ code: 'remote.timed-out' }, isOpen])
  expect(other.end.asked).toEqual(['write', 'write'])
  await expect(blobs.read(scope, digestOf(small))).rejects.toMatchObject(isOpen)
})

const large = Array.from({ length: 30 }, (_, i) => Buffer.alloc(70_000, i))

test('no more is under way than the limit says, whatever comes of it, and all are served', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 9 }), async (seed, most) => {
      const lookUps = { first: most, least: 1, most }
      const { clock, actions, blobs, end } = setUp(
        async (_what, _signal, number) => {
          await clock.sleep(5 + clock.random() * 40)
          if (number % 7 === 3) throw fault('remote.unreachable')
        },
        {
          ...TIRELESS,
          lookUps,
          transfers: lookUps,
          firstAnswerMs: 60_000,
          lookUpMs: 60_000,
          hedgeBudget: { reserve: 0, share: 0 },
        },
        seed,
      )
      const calls = Array.from({ length: 60 }, (_, i) => actions.get(scope, action(`${i}`)).catch(() => undefined))
      await clock.until(Promise.all(calls))
      expect(end.underWay.most).toBeLessThanOrEqual(most)
      end.underWay.most = 0
      const writes = large.map((bytes, i) =>
        (i % 2 === 0 ? blobs.write(scope, digestOf(bytes), bytes) : blobs.read(scope, digestOf(bytes))).catch(
          () => undefined,
        ),
      )
      await clock.until(Promise.all(writes))
      expect(end.underWay.most).toBeLessThanOrEqual(most)
      expect(end.underWay.most).toBeGreaterThan(0)
    }),
    { numRuns: 20 },
  )
})

describe('equal questions at the same time', () => {
  test('share one answer', async () => {
    const { clock, actions, blobs, end, store } = setUp(() => clock.sleep(10))
    await store.blobs.write(scope, digestOf(small), small)
    const gets = Array.from({ length: 5 }, () => actions.get(scope, action('a')))
    const reads = Array.from({ length: 5 }, () => blobs.read(scope, digestOf(small), { offset: 1, length: 2 }))
    expect(await clock.until(Promise.all(gets))).toEqual(gets.map(() => missed))
    for (const bytes of await clock.until(Promise.all(reads))) {
      const pieces: Uint8Array[] = []
      for await (const piece of bytes ?? []) pieces.push(piece)
      expect(Buffer.concat(pieces).toString()).toBe('ma')
    }
    expect(end.asked.toSorted()).toEqual(['get', 'read'])
    await clock.until(actions.get({ instance: 'other' }, action('a')))
    expect(end.asked).toHaveLength(3)
  })

  test('are given up when the last one leaves', async () => {
    const { clock, actions, end } = setUp(() => clock.sleep(50))
    const [one, two] = [new AbortController(), new AbortController()]
    const first = actions.get(scope, action('a'), one.signal)
    const second = actions.get(scope, action('a'), two.signal)
    await clock.pass(10)
    one.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    expect(end.givenUp).toHaveLength(0)
    expect(await clock.until(second)).toEqual(missed)
    const control = new AbortController()
    const third = actions.get(scope, action('b'), control.signal)
    await clock.pass(10)
    control.abort(new Error('enough'))
    await expect(third).rejects.toThrow('enough')
    expect(end.givenUp).toHaveLength(1)
    // Nor is it the end's fault.
    expect(await clock.until(actions.get(scope, action('c')))).toEqual(missed)
  })
})

test('what the end does not have is asked for again: others may have put it', async () => {
  const { clock, actions, end } = setUp(quick)
  for (let i = 0; i < 3; i++) expect(await clock.until(actions.get(scope, action('a')))).toEqual(missed)
  expect(end.asked).toHaveLength(3)
})

describe('what the end refuses', () => {
  test('is not asked again for a while, and the rest is', async () => {
    const { clock, actions, blobs, end } = setUp(async (what) => {
      if (what === 'put' || what === 'write') throw fault('remote.denied')
    })
    for (let i = 0; i < 3; i++)
      await expect(clock.until(actions.put(scope, action('a'), result([])))).rejects.toMatchObject({
        code: 'remote.denied',
      })
    await expect(clock.until(blobs.write(scope, digestOf(small), small))).rejects.toMatchObject({
      code: 'remote.denied',
    })
    expect(end.asked).toEqual(['put'])
    expect(await clock.until(actions.get(scope, action('a')))).toEqual(missed)
    await expect(clock.until(actions.put({ instance: 'b' }, action('a'), result([])))).rejects.toThrow('denied')
    expect(end.asked).toEqual(['put', 'get', 'put'])
    await clock.pass(GUARD_LIMITS.refusedMs)
    await expect(clock.until(actions.put(scope, action('a'), result([])))).rejects.toThrow('denied')
    expect(end.asked).toHaveLength(4)
  })

  test('holds for all of it where it is no end for us', async () => {
    const { clock, next, actions, blobs, end } = setUp(async () => {
      throw fault('remote.tls')
    })
    await expect(clock.until(actions.get(scope, action('a')))).rejects.toThrow('remote.tls')
    await expect(blobs.write({ instance: 'b' }, digestOf(small), small)).rejects.toThrow('remote.tls')
    expect(end.asked).toEqual(['get'])
    // Whoever put it right is not kept waiting: the next process asks.
    await expect(clock.until(next().actions.get(scope, action('a')))).rejects.toThrow('remote.tls')
    expect(end.asked).toEqual(['get', 'get'])
  })
})

test('what fails three times running is left alone, and an answer between makes it begin anew', async () => {
  let isBad = false
  const { clock, actions, end } = setUp(async () => {
    if (isBad) throw fault('remote.failed')
  })
  const get = () => clock.until(actions.get(scope, action('a')))
  await get()
  for (const bad of [true, true, false, true, true]) {
    isBad = bad
    await get().catch(() => undefined)
  }
  await expect(get()).rejects.toMatchObject({ code: 'remote.failed' })
  await expect(get()).rejects.toMatchObject(isOpen)
  expect(end.asked).toHaveLength(7)
})

test('a batch that breaks off goes on with what is left', async () => {
  const contents = Array.from({ length: 9 }, (_, i) => content(100, i))
  const { clock, blobs, end, store } = setUp(async (_what, _signal, number) => {
    if (number === 3 || number === 6) throw fault('remote.unreachable')
  })
  for (const bytes of contents) await store.blobs.write(scope, digestOf(bytes), bytes)
  const seen: number[] = []
  const all = async () => {
    for await (const { index, bytes } of blobs.readBatch(scope, contents.map(digestOf))) {
      expect(Buffer.from(bytes ?? []).equals(contents[index] as Buffer)).toBe(true)
      seen.push(index)
    }
  }
  await clock.until(all())
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  expect(end.asked).toHaveLength(11)
})
