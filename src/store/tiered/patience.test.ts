import { afterEach, beforeEach, expect, test } from 'vitest'
import { action } from '../action-store.contract.ts'
import { content } from '../content.fixture.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { HitOdds } from './hit-odds.ts'
import { type TieredStore, tiered } from './tiered.ts'
import { forgetfulStore, gate, keepResult, standsIn } from './tiers.fixture.ts'
import { type Before, type WatchedEnd, watchedEnd } from './watched-end.fixture.ts'

let used: AsyncDisposableStack
let near: ReturnType<typeof forgetfulStore>
let kept: ReturnType<typeof forgetfulStore>
let nowMs: number
beforeEach(() => {
  used = new AsyncDisposableStack()
  near = forgetfulStore()
  kept = forgetfulStore()
  nowMs = 1_700_000_000_000
})
afterEach(() => used.disposeAsync())

const files = [content(1000, 1)]
const wanted = action('a')
const PATIENT_MS = 10_000

function over(before?: Before): { tier: TieredStore; far: WatchedEnd } {
  const far = watchedEnd(kept, before)
  return { far, tier: used.use(tiered(near, async () => far, { place: 'far', now: () => nowMs })) }
}

/** A far end that answers no look-up before it is told to. */
function slow() {
  const answer = gate()
  return { ...over((call) => (call === 'get' ? answer.pass() : undefined)), answer }
}

/** For work that takes so long. */
function get(tier: TieredStore, ms: number, name = wanted): Promise<unknown> {
  return tier.actionsFor(async () => ms).get(scope, name)
}

const UNANSWERED = { kind: 'miss', why: 'unanswered' }

test('an answer is waited for while it is worth it, and whoever does not ask what it is worth waits on', async () => {
  await keepResult(kept, 'a', files)
  const { tier, far, answer } = slow()
  const patient = tier.actions.get(scope, wanted)
  expect(await get(tier, 20)).toEqual(UNANSWERED)
  const alsoPatient = get(tier, 1e9)
  answer.open()
  expect(await patient).toMatchObject({ kind: 'hit', place: 'far' })
  expect(await alsoPatient).toMatchObject({ kind: 'hit' })
  expect(far.calls.filter((call) => call === 'get')).toHaveLength(1)
  await tier.flush(PATIENT_MS)
  expect(await standsIn(near, 'a', files)).toBe('hit')
})

test('time counts from when the look-up was begun', async () => {
  const { tier, answer } = slow()
  expect(await get(tier, 20)).toEqual(UNANSWERED)
  nowMs += 1e9
  expect(await get(tier, 1e9)).toEqual(UNANSWERED)
  answer.open()
})

test('a hit that nobody waits for any more is not fetched, but is there for who asks again', async () => {
  await keepResult(kept, 'a', files)
  const { tier, far, answer } = slow()
  expect(await get(tier, 20)).toEqual(UNANSWERED)
  answer.open()
  await new Promise(setImmediate)
  await tier.flush(PATIENT_MS)
  expect(far.calls).toEqual(['get'])
  expect(await get(tier, 0)).toMatchObject({ kind: 'hit', place: 'far' })
  await tier.flush(PATIENT_MS)
  expect(await standsIn(near, 'a', files)).toBe('hit')
  expect(far.calls.filter((call) => call === 'get')).toHaveLength(1)
})

test.each(['before', 'after'])('what is put counts, and no late hit %s it', async (when) => {
  await keepResult(kept, 'a', [content(2000, 9)])
  const { tier, answer } = slow()
  expect(await get(tier, 20)).toEqual(UNANSWERED)
  if (when === 'before') answer.open()
  await new Promise(setImmediate)
  await keepResult(tier, 'a', files)
  answer.open()
  await tier.flush(PATIENT_MS)
  expect(await standsIn(kept, 'a', files)).toBe('hit')
  await near.actions.remove(scope, wanted)
  expect(await standsIn(tier, 'a', files)).toBe('hit')
})

test('what it saves is asked only where near has nothing, and where nobody can tell it is waited for', async () => {
  await keepResult(near, 'near', files)
  await keepResult(kept, 'a', files)
  const { tier } = over()
  const actions = tier.actionsFor(() => Promise.reject(new Error('asked')))
  expect(await actions.get(scope, action('near'))).toMatchObject({ kind: 'hit' })
  expect(await actions.get(scope, wanted)).toMatchObject({ kind: 'hit' })
  expect(await actions.get(scope, action('b'))).toEqual({ kind: 'miss', why: 'absent' })
})

test('why near has none is said rather than that far was not waited for', async () => {
  const [digest] = await keepResult(near, 'a', files)
  near.lost.add(digest?.hash ?? '')
  const { tier, answer } = slow()
  expect(await get(tier, 20)).toEqual({ kind: 'miss', why: 'incomplete' })
  answer.open()
})

test('what look-ups come to is learned, late ones included, and known to the next process', async () => {
  const { tier, answer } = slow()
  expect(await get(tier, 20)).toEqual(UNANSWERED)
  nowMs += 300
  answer.open()
  await new Promise(setImmediate)
  await tier[Symbol.asyncDispose]()
  const learned = new HitOdds(near.records, 'far')
  expect([learned.answerMs, learned.patienceMs(1000)]).toEqual([300, 500])
})

test('a process that ends before the answer has learned how slow it is; faults teach nothing', async () => {
  const { tier } = slow()
  expect(await get(tier, 20)).toEqual(UNANSWERED)
  nowMs += 300
  await tier[Symbol.asyncDispose]()
  expect(new HitOdds(near.records, 'far').answerMs).toBe(300)
  const faulty = over(() => Promise.reject(new Error('as the test says'))).tier
  expect(await get(faulty, 1e9)).toEqual({ kind: 'miss', why: 'absent' })
  await faulty[Symbol.asyncDispose]()
  expect(new HitOdds(near.records, 'far').patienceMs(1000)).toBe(1000)
})
