import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CacheError } from '../../errors.ts'
import { action, result } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import type { FleetHoldOptions, FleetLeases } from '../fleet-leases.ts'
import { memoryFleetLeases } from '../memory/memory-fleet-leases.ts'
import { type TieredOptions, type TieredStore, tiered, type WorkLease, type WorkTurn } from './tiered.ts'
import { forgetfulStore, gate, keepResult } from './tiers.fixture.ts'
import { type Before, watchedEnd } from './watched-end.fixture.ts'

let used: AsyncDisposableStack
let kept: ReturnType<typeof forgetfulStore>
let leases: FleetLeases
let nowMs: number
beforeEach(() => {
  used = new AsyncDisposableStack()
  kept = forgetfulStore()
  leases = memoryFleetLeases()
  nowMs = 1_700_000_000_000
})
afterEach(() => used.disposeAsync())

const files = [content(1000, 1)]
const work = action('a')
const PATIENT_MS = 10_000

/** A machine, which has its own near store and shares what is far. */
function machine(before?: Before, options: Partial<TieredOptions> = {}): { tier: TieredStore; near: typeof kept } {
  const near = forgetfulStore()
  const far = { ...watchedEnd(kept, before), fleetLeases: leases }
  const now = () => nowMs
  return { near, tier: used.use(tiered(near, async () => far, { place: 'far', now, ...options })) }
}

/** Begins to wait, which others know of by then. */
async function waits(tier: TieredStore): Promise<{ turn: Promise<WorkTurn | undefined> }> {
  const told = Promise.withResolvers<void>()
  const turn = tier.hold(scope, work, { label: 'other', usualMs: 60_000, onWait: () => told.resolve() })
  await told.promise
  return { turn }
}

async function leads(tier: TieredStore): Promise<WorkLease> {
  const turn = await tier.hold(scope, work, { label: 'one', usualMs: 60_000 })
  if (turn?.kind !== 'held') throw new Error('not held')
  return turn.lease
}

test('who waits hears of a result when it is far, not before, and finds it though it was absent a moment ago', async () => {
  const put = gate()
  const { tier } = machine((call) => (call === 'put' ? put.pass() : undefined))
  const other = machine().tier
  expect(await other.actions.get(scope, work)).toMatchObject({ kind: 'miss' })
  const lease = await leads(tier)
  const waiting = await waits(other)
  await keepResult(tier, 'a', files)
  lease.end('kept')
  await put.isReached
  expect(await Promise.race([waiting.turn, 'still waiting'])).toBe('still waiting')
  put.open()
  await tier.flush(PATIENT_MS)
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: true })
  expect(await other.actions.get(scope, work)).toMatchObject({ kind: 'hit', place: 'far' })
})

test('an upload that was there before its end was told counts', async () => {
  const { tier } = machine()
  const lease = await leads(tier)
  const waiting = await waits(machine().tier)
  await keepResult(tier, 'a', files)
  await tier.flush(PATIENT_MS)
  lease.end('kept')
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: true })
})

test.each([
  ['nothing', false],
  ['found', true],
] as const)('that there is %s is told at once', async (how, isKept) => {
  const { tier } = machine()
  const lease = await leads(tier)
  const waiting = await waits(machine().tier)
  lease.end(how)
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept })
})

test('an end is told once', async () => {
  const told: unknown[] = []
  const lease = {
    end: async (kept: boolean) => void told.push(kept),
    [Symbol.asyncDispose]: async () => void told.push(''),
  }
  leases = { ...leases, hold: async () => ({ kind: 'held', lease }) }
  const { tier } = machine()
  const own = await leads(tier)
  own.end('nothing')
  own.end('found')
  await own[Symbol.asyncDispose]()
  await tier.flush(PATIENT_MS)
  expect(told).toEqual([false])
})

test('an upload that waits for a better time, or is another process’s, leaves the work to another machine', async () => {
  for (const whose of ['ours', 'theirs']) {
    let isAway = whose === 'ours'
    const { tier, near } = machine((call) => {
      if (isAway && call !== 'get') throw new CacheError('remote.unreachable', 'as the test says')
    })
    await keepResult(tier, 'b', files)
    await tier.flush(PATIENT_MS)
    isAway = false
    const theirs = await near.leases.tryHold(`upload ${work.hash} ${scope.instance} far`)
    const lease = await leads(tier)
    const waiting = await waits(machine().tier)
    await keepResult(tier, 'a', files)
    lease.end('kept')
    if (whose === 'ours') await tier[Symbol.asyncDispose]()
    const turn = await waiting.turn
    expect(turn?.kind).toBe('held')
    if (turn?.kind === 'held') turn.lease.end('nothing')
    await theirs?.[Symbol.asyncDispose]()
  }
})

test('what the end of a process leaves, another machine does', async () => {
  for (const leave of ['lease', 'process'] as const) {
    const put = gate()
    const { tier } = machine((call, signal) => {
      signal?.addEventListener('abort', put.open)
      return call === 'put' ? put.pass() : undefined
    })
    const lease = await leads(tier)
    const waiting = await waits(machine().tier)
    if (leave === 'lease') await lease[Symbol.asyncDispose]()
    else {
      await keepResult(tier, 'a', files)
      lease.end('kept')
      await put.isReached
      await tier[Symbol.asyncDispose]()
    }
    const turn = await waiting.turn
    expect(turn?.kind).toBe('held')
    if (turn?.kind === 'held') turn.lease.end('nothing')
  }
})

test('of a result that does not get there, others hear that nothing is kept', async () => {
  const refused = machine((call) => {
    if (call === 'put') throw new CacheError('remote.denied', 'as the test says')
  }).tier
  const lease = await leads(refused)
  const waiting = await waits(machine().tier)
  await keepResult(refused, 'a', files)
  lease.end('kept')
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: false })
})

test('a result that cannot be put, or is removed again, is told as none', async () => {
  const { tier, near } = machine()
  for (const what of ['put', 'removed']) {
    const lease = await leads(tier)
    const waiting = await waits(machine().tier)
    lease.end('kept')
    if (what === 'put') {
      near.isFull = true
      await tier.actions.put(scope, work, result(await keepNowhere())).catch(() => undefined)
    } else await tier.actions.remove(scope, work)
    expect(await waiting.turn).toEqual({ kind: 'ended', isKept: false })
  }
})

/** Blobs that are not there. */
async function keepNowhere() {
  return keepResult(forgetfulStore(), 'a', [content(10, 3)])
}

test('who cannot write it down is as one who keeps nothing for others; who may not write asks nobody', async () => {
  const { tier, near } = machine()
  const lease = await leads(tier)
  const waiting = await waits(machine().tier)
  near.records.save = async () => {
    throw new CacheError('store.full', 'as the test says')
  }
  await keepResult(tier, 'a', files)
  lease.end('kept')
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: false })
  const own = { label: '', usualMs: 60_000 }
  expect(await machine(undefined, { write: false }).tier.hold(scope, work, own)).toBe(undefined)
  expect(await machine(undefined, { read: false }).tier.hold(scope, work, own)).toBe(undefined)
  expect(await machine(undefined, { isDenied: async () => true }).tier.hold(scope, work, own)).toBe(undefined)
})

/** Leases that are asked for and answered when the test says so. */
function heldBack() {
  const asked: FleetHoldOptions[] = []
  const inner = leases
  const word = gate()
  leases = {
    ...inner,
    async hold(scope, action, options) {
      asked.push(options)
      await word.pass()
      // Who has left by then is given it all the same, as it may be on its way.
      return inner.hold(scope, action, { ...options, signal: undefined })
    },
  }
  return { asked, word }
}

/** On a line that takes so long for an answer, and as long for a connection. */
async function at(answerMs: number): Promise<ReturnType<typeof machine>> {
  const answer = gate()
  const made = machine((call) => (call === 'get' ? answer.pass() : undefined))
  const look = made.tier.actions.get(scope, action('b'))
  await answer.isReached
  nowMs += 2 * answerMs
  answer.open()
  await look
  return made
}

test('what is known to be short is not asked for', async () => {
  const { asked } = heldBack()
  const { tier } = machine()
  expect(await tier.hold(scope, work, { label: '', usualMs: 1_999, likelyMs: 60_000 })).toBe(undefined)
  expect(asked).toEqual([])
})

test.each([
  ['takes twenty answers', { usualMs: 4_000 }, 200, true],
  ['takes less than twenty answers', { usualMs: 3_999 }, 200, false],
  ['takes two seconds', { usualMs: 2_000 }, 0, true],
  ['nobody knows, and is likely to take twenty answers', { likelyMs: 4_000 }, 200, true],
  ['nobody knows, and is likely to take less', { likelyMs: 3_999 }, 200, false],
  ['nobody knows, and is likely to take two seconds', { likelyMs: 2_000 }, 0, true],
  ['nobody knows, and is likely to take less than that', { likelyMs: 1_999 }, 0, false],
  ['nobody knows', {}, 0, false],
])('of work that %s, the answer is waited for or not', async (_, about, answerMs, isWaited) => {
  const { asked, word } = heldBack()
  const { tier } = await at(answerMs)
  const turn = tier.hold(scope, work, { label: '', ...about })
  await word.isReached
  if (isWaited) {
    expect(await Promise.race([turn, 'waiting'])).toBe('waiting')
    word.open()
  }
  const had = await turn
  expect(had?.kind).toBe('held')
  expect(asked.map(({ isAwaited = true }) => isAwaited)).toEqual([isWaited])
  if (had?.kind === 'held') had.lease.end('nothing')
  word.open()
})

test('who does not wait for the answer has the lease when it comes: others wait, and hear the end', async () => {
  const { word } = heldBack()
  const { tier } = machine()
  const turn = await tier.hold(scope, work, { label: 'one' })
  if (turn?.kind !== 'held') throw new Error('not held')
  await word.isReached
  word.open()
  await new Promise(setImmediate)
  const waiting = await waits(machine().tier)
  await keepResult(tier, 'a', files)
  turn.lease.end('kept')
  await tier.flush(PATIENT_MS)
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: true })
})

test('who is at it when another one has the lease goes on, hears nothing of it, and takes nothing from it', async () => {
  const lease = await leads(machine().tier)
  const { tier } = machine()
  let heard = 0
  const turn = await tier.hold(scope, work, { label: 'other', onWait: () => heard++ })
  if (turn?.kind !== 'held') throw new Error('not held')
  await new Promise(setImmediate)
  expect(heard).toBe(0)
  turn.lease.end('nothing')
  await turn.lease[Symbol.asyncDispose]()
  const waiting = await waits(machine().tier)
  lease.end('found')
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: true })
})

test('who is at it when the holder dies has the lease from then on', async () => {
  const lease = await leads(machine().tier)
  const { tier } = machine()
  const turn = await tier.hold(scope, work, { label: 'other' })
  if (turn?.kind !== 'held') throw new Error('not held')
  await new Promise(setImmediate)
  const waiting = await waits(machine().tier)
  await lease[Symbol.asyncDispose]()
  await new Promise(setImmediate)
  turn.lease.end('nothing')
  expect(await waiting.turn).toEqual({ kind: 'ended', isKept: false })
})

test.each(['end', 'leave'])('a lease that comes after the %s of the work is for another one', async (how) => {
  const { word } = heldBack()
  const { tier } = machine()
  const turn = await tier.hold(scope, work, { label: 'one' })
  if (turn?.kind !== 'held') throw new Error('not held')
  await word.isReached
  if (how === 'end') turn.lease.end('kept')
  else await turn.lease[Symbol.asyncDispose]()
  word.open()
  const next = await leads(machine().tier)
  next.end('nothing')
})

describe('how long others take', () => {
  const told = (things: readonly string[]) => things.map((thing) => Number(thing.slice(1)) || undefined)

  test('is asked once for all that are asked for meanwhile, and known from then on', async () => {
    const asked: (readonly string[])[] = []
    const answer = gate()
    leases = {
      ...leases,
      async usual(_scope, things) {
        asked.push(things)
        await answer.pass()
        return told(things)
      },
    }
    const { tier } = machine()
    for (const thing of ['t1', 't1']) expect(tier.usualMs(scope, thing)).toBe(undefined)
    await answer.isReached
    for (const thing of ['t2', 'none', 't1']) expect(tier.usualMs(scope, thing)).toBe(undefined)
    answer.open()
    await vi.waitFor(() => expect(tier.usualMs(scope, 't2')).toBe(2))
    expect([tier.usualMs(scope, 't1'), tier.usualMs(scope, 'none')]).toEqual([1, undefined])
    expect(asked).toEqual([['t1'], ['t2', 'none']])
    expect(tier.usualMs({ instance: 'other' }, 't1')).toBe(undefined)
    await vi.waitFor(() => expect(tier.usualMs({ instance: 'other' }, 't1')).toBe(1))
  })

  test('a great many are asked for a thousand at a time', async () => {
    const asked: number[] = []
    leases = {
      ...leases,
      async usual(_scope, things) {
        asked.push(things.length)
        return told(things)
      },
    }
    const { tier } = machine()
    await tier.actions.get(scope, action('b'))
    const things = Array.from({ length: 2_500 }, (_, number) => `t${number + 1}`)
    for (const thing of things) tier.usualMs(scope, thing)
    await vi.waitFor(() => expect(things.map((thing) => tier.usualMs(scope, thing))).toEqual(told(things)))
    expect(Math.max(...asked)).toBe(1_000)
    expect(asked.length).toBeLessThan(5)
  })

  test('is not asked for twice where nobody says, and never where nothing is read', async () => {
    let asked = 0
    leases = {
      ...leases,
      async usual() {
        asked++
        throw new CacheError('remote.unreachable', 'as the test says')
      },
    }
    const { tier } = machine()
    tier.usualMs(scope, 't1')
    await vi.waitFor(() => expect(asked).toBe(1))
    for (let i = 0; i < 3; i++) {
      await new Promise(setImmediate)
      expect(tier.usualMs(scope, 't1')).toBe(undefined)
    }
    const blind = machine(undefined, { read: false }).tier
    expect(blind.usualMs(scope, 't1')).toBe(undefined)
    await new Promise(setImmediate)
    expect(asked).toBe(1)
  })
})

test.each([
  ['remote.incompatible', 1],
  ['remote.denied', 1],
  ['remote.unreachable', 2],
] as const)('after %s it is asked %d times in two, and nothing is thrown', async (code, times) => {
  let asked = 0
  leases = {
    ...leases,
    async hold() {
      asked++
      throw new CacheError(code, 'as the test says')
    },
  }
  const { tier } = machine()
  for (let i = 0; i < 2; i++) expect(await tier.hold(scope, work, { label: '', usualMs: 60_000 })).toBe(undefined)
  expect(asked).toBe(times)
})

test('who has waited enough leaves with the reason, and so does who closes', async () => {
  const { tier } = machine()
  const lease = await leads(tier)
  const enough = new AbortController()
  const other = machine().tier
  const waiting = other.hold(scope, work, {
    ...{ label: '', usualMs: 60_000, signal: enough.signal },
    onWait: () => enough.abort(new Error('enough')),
  })
  await expect(waiting).rejects.toThrow('enough')
  const closing = await waits(other)
  await other[Symbol.asyncDispose]()
  expect(await closing.turn).toBe(undefined)
  lease.end('nothing')
})
