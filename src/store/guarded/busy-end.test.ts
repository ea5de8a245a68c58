import { expect, test } from 'vitest'
import { digestOf } from '../../digest/sha256.ts'
import { CacheError } from '../../errors.ts'
import { action } from '../action-store.contract.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { BREAKER_LIMITS } from './breaker.ts'
import { breakerInMemory } from './breaker-file.ts'
import { Guard } from './guard.ts'
import { GUARD_LIMITS } from './guard-limits.ts'
import { guarded } from './guarded.ts'
import { type Script, scriptedEnd } from './scripted-end.fixture.ts'
import { VirtualClock } from './virtual-clock.fixture.ts'

const busy = new CacheError('remote.unreachable', 'slow down', { context: { isBusy: true } })
const small = Buffer.from('small')

function setUp(script: Script) {
  const clock = new VirtualClock(1)
  const end = scriptedEnd(script)
  return { clock, end, ...guarded(end, { place: 'there', memory: breakerInMemory(), clock }) }
}

test('an end that turns away every third call is not left alone, and most calls are answered', async () => {
  const { clock, end, actions, blobs } = setUp(async (_what, _signal, number) => {
    if (number % 3 === 2) throw busy
  })
  const outcomes: string[] = []
  for (let i = 0; i < 300; i++) {
    const asked = i % 2 === 0 ? actions.get(scope, action(`${i}`)) : blobs.write(scope, digestOf(small), small)
    outcomes.push(
      await clock.until(
        asked.then(
          () => 'answered',
          (error: CacheError) => (error.context.isOpen === true ? 'left alone' : 'turned away'),
        ),
      ),
    )
  }
  expect(outcomes).not.toContain('left alone')
  expect(outcomes.filter((outcome) => outcome === 'answered').length).toBeGreaterThan(200)
  expect(end.asked.length).toBeGreaterThan(300)
})

test('it is asked again, as what broke off is', async () => {
  const { clock, end, actions } = setUp(async (_what, _signal, number) => {
    if (number < 2) throw busy
  })
  expect(await clock.until(actions.get(scope, action('a')))).toMatchObject({ kind: 'miss' })
  expect(end.asked).toHaveLength(3)
})

test('one that turns away all is left alone after twenty, unless it answers between', () => {
  const clock = new VirtualClock(1)
  const guard = new Guard({
    ...{ place: 'there', memory: breakerInMemory(), clock, received: undefined },
    limits: { ...GUARD_LIMITS },
  })
  const turnAway = (times: number) => {
    for (let i = 0; i < times; i++) guard.failed('read', busy)
  }
  turnAway(BREAKER_LIMITS.mostBusy - 1)
  expect(guard.breaker.isOpen).toBe(false)
  guard.breaker.answered()
  turnAway(BREAKER_LIMITS.mostBusy - 1)
  expect(guard.breaker.isOpen).toBe(false)
  turnAway(1)
  expect(guard.breaker.isOpen).toBe(true)
})
