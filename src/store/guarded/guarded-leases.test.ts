import { expect, test } from 'vitest'
import { action } from '../action-store.contract.ts'
import { DEFAULT_SCOPE as scope } from '../contracts.ts'
import { fleetLeasesContract } from '../fleet-leases.contract.ts'
import type { FleetLeases } from '../fleet-leases.ts'
import { memoryFleetLeases } from '../memory/memory-fleet-leases.ts'
import { GUARD_LIMITS } from './guard-limits.ts'
import { guarded } from './guarded.ts'
import { fault, never, scriptedEnd } from './scripted-end.fixture.ts'
import { VirtualClock } from './virtual-clock.fixture.ts'

function over(leases: Partial<FleetLeases>, clock?: VirtualClock) {
  const end = { ...scriptedEnd(async () => undefined), fleetLeases: { ...memoryFleetLeases(), ...leases } }
  const opened = guarded(end, { place: 'there', ...(clock !== undefined && { clock }) })
  return { ...opened, leases: opened.fleetLeases as FleetLeases, asked: end.asked }
}

fleetLeasesContract(async () => {
  const fleet = memoryFleetLeases()
  return { one: over(fleet).leases, other: over(fleet).leases, async [Symbol.asyncDispose]() {} }
})

test('who waits is waited for as long as the caller likes, once there was a word', async () => {
  const clock = new VirtualClock()
  const { leases } = over(
    {
      async hold(_scope, _action, { onWait }) {
        onWait?.({ label: 'another', forMs: 0, usualMs: undefined })
        await clock.sleep(3_600_000)
        return { kind: 'ended', isKept: true }
      },
    },
    clock,
  )
  expect(await clock.until(leases.hold(scope, action('a'), { label: '' }))).toEqual({ kind: 'ended', isKept: true })
})

test('an end without a word is given up as one that does not answer a look-up', async () => {
  const clock = new VirtualClock()
  const { leases, actions } = over({ hold: (_scope, _action, { signal }) => never(signal) }, clock)
  const turn = leases.hold(scope, action('a'), { label: '' })
  await expect(clock.until(turn)).rejects.toMatchObject({ code: 'remote.timed-out' })
  expect(clock.elapsedMs()).toBe(GUARD_LIMITS.firstAnswerMs)
  await expect(actions.get(scope, action('a'))).rejects.toMatchObject({ context: { isOpen: true } })
  await expect(leases.hold(scope, action('a'), { label: '' })).rejects.toMatchObject({ context: { isOpen: true } })
})

test('an end that has no leases is asked for them once, and is none the worse for it', async () => {
  let asked = 0
  const { leases, actions } = over({
    async hold() {
      asked++
      throw fault('remote.incompatible')
    },
  })
  for (let i = 0; i < 3; i++)
    await expect(leases.hold(scope, action('a'), { label: '' })).rejects.toMatchObject({ code: 'remote.incompatible' })
  expect(asked).toBe(1)
  expect(await actions.get(scope, action('a'))).toMatchObject({ kind: 'miss' })
})

test('the end of the work is told, and nobody waits for a server that does not listen', async () => {
  const clock = new VirtualClock()
  const { leases } = over(
    {
      async hold() {
        const lease = { end: () => never(undefined), [Symbol.asyncDispose]: () => never(undefined) }
        return { kind: 'held', lease }
      },
    },
    clock,
  )
  const turn = await clock.until(leases.hold(scope, action('a'), { label: '' }))
  if (turn.kind !== 'held') throw new Error('not held')
  await clock.until(turn.lease.end(true))
  await clock.until(turn.lease[Symbol.asyncDispose]() as Promise<void>)
  expect(clock.elapsedMs()).toBe(2 * GUARD_LIMITS.lookUpMs)
})

test('what nobody waits for costs nobody anything: it opens no breaker', async () => {
  const clock = new VirtualClock()
  const { leases, actions, asked } = over(
    {
      hold: (_scope, _action, { signal }) => never(signal),
      usual: (_scope, _things, signal) => never(signal),
    },
    clock,
  )
  for (let i = 0; i < 10; i++) {
    const turn = leases.hold(scope, action('a'), { label: '', isAwaited: false })
    await expect(clock.until(turn)).rejects.toMatchObject({ code: 'remote.timed-out' })
    await expect(clock.until(leases.usual(scope, ['a thing']))).rejects.toMatchObject({ code: 'remote.timed-out' })
  }
  expect(await clock.until(actions.get(scope, action('a')))).toMatchObject({ kind: 'miss' })
  expect(asked).toEqual(['get'])
})

test('how long things take is passed on, and not asked for again where there are no leases', async () => {
  let asked = 0
  const { leases } = over({
    async usual(_scope, things) {
      if (++asked > 1) throw fault('remote.incompatible')
      return things.map(({ length }) => length)
    },
  })
  expect(await leases.usual(scope, ['a', 'thing'])).toEqual([1, 5])
  for (let i = 0; i < 3; i++)
    await expect(leases.usual(scope, ['a'])).rejects.toMatchObject({ code: 'remote.incompatible' })
  expect(asked).toBe(2)
  await expect(leases.hold(scope, action('a'), { label: '' })).rejects.toMatchObject({ code: 'remote.incompatible' })
})
