import { expect, test } from 'vitest'
import type { ErrorCode } from '../../errors.ts'
import { breakerInMemory } from './breaker-file.ts'
import { Guard } from './guard.ts'
import { GUARD_LIMITS } from './guard-limits.ts'
import { fault } from './scripted-end.fixture.ts'
import { Transfers } from './transfer.ts'
import { VirtualClock } from './virtual-clock.fixture.ts'

function setUp() {
  const clock = new VirtualClock(1)
  const memory = breakerInMemory()
  const next = () => new Guard({ place: 'there', memory, clock, limits: GUARD_LIMITS, received: undefined })
  return { clock, next, guard: next() }
}

test.each<[ErrorCode, boolean]>([
  ['remote.timed-out', true],
  ['remote.failed', true],
  ['store.corrupt', true],
  ['remote.denied', false],
  ['store.incomplete', false],
  ['store.too-large', false],
])('time that was waited for %s counts as lost: %s', (code, isLost) => {
  const { clock, guard } = setUp()
  guard.breaker.answered()
  clock.skip(GUARD_LIMITS.mostLostMs + 1)
  guard.lost(fault(code), 0)
  expect(guard.breaker.isOpen).toBe(isLost)
})

test('what another end threw counts for nothing, whatever it is', () => {
  const { clock, guard } = setUp()
  clock.skip(GUARD_LIMITS.mostLostMs + 1)
  for (const code of ['remote.timed-out', 'remote.denied', 'store.incomplete'] as const) {
    const error = fault(code)
    guard.othersFailed(error)
    guard.lost(error, 0)
    guard.failed('read', error)
  }
  for (const odd of ['words', undefined, new Error('a mistake')]) {
    guard.othersFailed(odd)
    guard.failed('read', odd)
  }
  expect([guard.breaker.isOpen, guard.breaker.hasAnswered]).toEqual([false, false])
  guard.admit('read', async () => undefined)
  guard.failed('read', fault('remote.timed-out'))
  expect(guard.breaker.isOpen).toBe(true)
})

test.each([
  [GUARD_LIMITS.firstAnswerMs / 2, GUARD_LIMITS.firstAnswerMs],
  [GUARD_LIMITS.firstAnswerMs / 2 + 10, GUARD_LIMITS.firstAnswerMs + 20],
  [400, 800],
  [10_000, GUARD_LIMITS.mostFirstAnswerMs],
])('after a first answer in %i ms the next process waits %i ms for its own', (tookMs, waitsMs) => {
  const { clock, guard, next } = setUp()
  clock.skip(tookMs)
  guard.answered(0)
  expect(next().firstAnswerMs).toBe(waitsMs)
})

test('an end that says nothing to whoever looks whether it is back is left alone for longer, whatever its client calls that', async () => {
  const { clock, guard } = setUp()
  guard.failed('read', fault('remote.timed-out'))
  clock.skip(Number(guard.breaker.openError().context.forMs))
  const asked = Promise.withResolvers<void>()
  const probe = (signal: AbortSignal) => {
    asked.resolve()
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))))
  }
  expect(() => guard.admit('read', probe)).toThrow('left alone')
  await asked.promise
  await clock.pass(GUARD_LIMITS.probeMs)
  expect(guard.breaker.openError().context.forMs).toBeGreaterThanOrEqual(2 * GUARD_LIMITS.coolDownMs)
})

test('a fault of ours says nothing of whether an end is back: it is looked for again at once', async () => {
  const { clock, guard } = setUp()
  guard.failed('read', fault('remote.timed-out'))
  clock.skip(Number(guard.breaker.openError().context.forMs))
  let asked = 0
  const probe = async () => {
    asked++
    throw new Error('a mistake')
  }
  for (let i = 0; i < 3; i++) {
    expect(() => guard.admit('read', probe)).toThrow('left alone')
    await clock.pass(0)
  }
  expect(asked).toBe(3)
})

test.each<[ErrorCode, boolean]>([
  ['remote.unreachable', true],
  ['remote.failed', false],
])('a transfer that ends in %s makes fewer be under way at once: %s', async (code, isFewer) => {
  const { clock, guard } = setUp()
  const kind = { what: 'write', side: 'write', isRepeatable: false, isAwaited: false } as const
  const transfer = { ...kind, bytes: 1, probe: async () => undefined, signal: undefined }
  const failing = async () => {
    throw fault(code)
  }
  await expect(clock.until(new Transfers(guard).run(transfer, failing))).rejects.toMatchObject({ code })
  expect(guard.transfers.limit < GUARD_LIMITS.transfers.first).toBe(isFewer)
})
